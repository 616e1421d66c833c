// Tests SubmitStream: each message gets a receipt, and a full queue stops the
// server from reading.

#include <cstddef>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"
#include "tests/fakes/call_status.h"
#include "tests/fakes/full_server.h"
#include "tests/fakes/patience.h"
#include "tests/fakes/sqlite_server.h"
#include "tests/fakes/test_server.h"

namespace sluice {
namespace {

using testing::ElementsAre;
using testing::SizeIs;
using v1::Receipt;

// Far more messages than the server reads from a stream without answering.
constexpr std::size_t kMany = 2000;

// Returns a request of 16 KiB. kMany requests exceed the buffers of HTTP/2.
v1::SubmitRequest MakeLarge(std::size_t i) {
  v1::SubmitRequest request = MakeSubmit(absl::StrCat("large ", i));
  request.mutable_capture()->set_device(std::string(16 << 10, 'x'));
  return request;
}

grpc::ChannelArguments FixedWindow() {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_HTTP2_BDP_PROBE, 0);
  return arguments;
}

// A stream on its own connection.
class Stream {
 public:
  explicit Stream(const TestServer& server)
      // The window does not grow, so receipts that the client does not read
      // soon stay at the server.
      : stub_(v1::Ingestion::NewStub(server.NewChannel(FixedWindow()))),
        stream_(stub_->SubmitStream(&context_)) {}

  bool Write(const v1::SubmitRequest& request) {
    return stream_->Write(request);
  }
  bool WritesDone() { return stream_->WritesDone(); }
  bool Read(Receipt* receipt) { return stream_->Read(receipt); }
  void Cancel() { context_.TryCancel(); }
  // Reads the remaining receipts.
  grpc::Status Finish() {
    Receipt receipt;
    while (stream_->Read(&receipt))
      receipts_[receipt.submission_id()] = receipt;
    return stream_->Finish();
  }
  // The receipts that Finish has read, by id.
  const std::map<std::string, Receipt>& receipts() const { return receipts_; }
  const grpc::ClientContext& context() const { return context_; }

 private:
  grpc::ClientContext context_;
  std::unique_ptr<v1::Ingestion::Stub> stub_;
  std::unique_ptr<grpc::ClientReaderWriter<v1::SubmitRequest, Receipt>> stream_;
  std::map<std::string, Receipt> receipts_;
};

// Writes on its own thread until the stream accepts no more messages. Counts
// the messages.
class Sender {
 public:
  explicit Sender(Stream* stream) : thread_([this, stream] { Run(stream); }) {}
  ~Sender() { thread_.join(); }

  std::size_t sent() const {
    absl::MutexLock lock(&mutex_);
    return sent_;
  }

 private:
  void Run(Stream* stream) {
    for (std::size_t i = 0; i < kMany; ++i) {
      if (!stream->Write(MakeLarge(i))) return;
      absl::MutexLock lock(&mutex_);
      ++sent_;
    }
    stream->WritesDone();
  }

  mutable absl::Mutex mutex_;
  std::size_t sent_ ABSL_GUARDED_BY(mutex_) = 0;
  std::thread thread_;
};

// Waits until `value` has been the same for a while, and returns it.
template <typename Value>
std::size_t AwaitStandstill(Value value) {
  std::size_t last = value();
  absl::Time since = absl::Now();
  AwaitThat("the value stops changing", [&] {
    const std::size_t now = value();
    if (now != last) since = absl::Now();
    last = now;
    return absl::Now() - since > absl::Milliseconds(200);
  });
  return last;
}

TEST(SubmitStream, GivesAReceiptForEachMessage) {
  TestServer server(SmallConfig("block", 4));
  Stream stream(server);
  constexpr std::size_t kMessages = 500;
  for (std::size_t i = 0; i < kMessages; ++i) {
    ASSERT_TRUE(stream.Write(MakeSubmit(absl::StrCat(i))));
  }
  stream.WritesDone();
  const grpc::Status status = stream.Finish();
  EXPECT_TRUE(status.ok()) << status.error_message();
  EXPECT_THAT(stream.receipts(), SizeIs(kMessages));
  for (const auto& [id, receipt] : stream.receipts()) {
    EXPECT_EQ(receipt.disposition(), Receipt::STORED) << id;
  }
  EXPECT_THAT(server.store().stored(), SizeIs(kMessages));
}

TEST(SubmitStream, AnswersWhileItIsOpen) {
  TestServer server(SmallConfig("block", 4));
  Stream stream(server);
  for (const char* id : {"1", "2", "3"}) {
    Receipt receipt;
    ASSERT_TRUE(stream.Write(MakeSubmit(id)));
    ASSERT_TRUE(stream.Read(&receipt));
    EXPECT_EQ(receipt.submission_id(), id);
    EXPECT_EQ(receipt.disposition(), Receipt::STORED);
  }
  stream.WritesDone();
  EXPECT_TRUE(stream.Finish().ok());
}

TEST(SubmitStream, WithoutAMessageIsAnAnswerToo) {
  TestServer server(SmallConfig("block", 4));
  Stream stream(server);
  stream.WritesDone();
  EXPECT_TRUE(stream.Finish().ok());
}

TEST(SubmitStream, AnInvalidMessageGetsAReceiptAndTheStreamContinues) {
  SqliteServer sqlite(SmallConfig("block", 4));
  Stream stream(sqlite.server());
  v1::SubmitRequest conflict = MakeSubmit("1");
  conflict.set_site_id("another");
  v1::SubmitRequest without_response = MakeSubmit("invalid");
  without_response.clear_response();
  const std::vector<std::pair<v1::SubmitRequest, Receipt::Disposition>> cases =
      {{MakeSubmit("1"), Receipt::STORED},
       {conflict, Receipt::CONFLICT},
       {without_response, Receipt::INVALID},
       {MakeSubmit("1"), Receipt::DUPLICATE},
       {MakeSubmit(""), Receipt::INVALID},
       {MakeSubmit("2"), Receipt::STORED}};
  for (const auto& [request, disposition] : cases) {
    Receipt receipt;
    ASSERT_TRUE(stream.Write(request));
    ASSERT_TRUE(stream.Read(&receipt));
    EXPECT_EQ(receipt.submission_id(), request.submission_id());
    EXPECT_EQ(receipt.disposition(), disposition) << request.submission_id();
    EXPECT_EQ(receipt.issue_size(), disposition == Receipt::INVALID ? 1 : 0);
  }
  stream.WritesDone();
  EXPECT_TRUE(stream.Finish().ok());
  EXPECT_THAT(sqlite.Query("SELECT submission_id FROM submissions ORDER BY 1"),
              ElementsAre(ElementsAre("1"), ElementsAre("2")));
}

TEST(SubmitStream, ARefusedMessageGetsARetryDelayAndTheStreamContinues) {
  FullServer full(SmallConfig("fail_fast", 1));
  Stream stream(full.server());
  Receipt receipt;
  ASSERT_TRUE(stream.Write(MakeSubmit("refused")));
  ASSERT_TRUE(stream.Read(&receipt));
  EXPECT_EQ(receipt.disposition(), Receipt::REFUSED);
  EXPECT_TRUE(receipt.has_retry_delay());
  full.store().Release();
  full.caller().AwaitEnded(2);
  ASSERT_TRUE(stream.Write(MakeSubmit("taken")));
  ASSERT_TRUE(stream.Read(&receipt));
  EXPECT_EQ(receipt.disposition(), Receipt::STORED);
  stream.WritesDone();
  EXPECT_TRUE(stream.Finish().ok());
}

TEST(SubmitStream, AFailingStoreEndsNoStream) {
  TestServer server(SmallConfig("block", 4));
  Stream stream(server);
  Receipt receipt;
  server.store().FailWith(absl::UnavailableError("full"));
  ASSERT_TRUE(stream.Write(MakeSubmit("1")));
  ASSERT_TRUE(stream.Read(&receipt));
  EXPECT_EQ(receipt.disposition(), Receipt::REFUSED);
  EXPECT_TRUE(receipt.has_retry_delay());
  server.store().FailWith(absl::OkStatus());
  ASSERT_TRUE(stream.Write(MakeSubmit("1")));
  ASSERT_TRUE(stream.Read(&receipt));
  EXPECT_EQ(receipt.disposition(), Receipt::STORED);
  stream.WritesDone();
  EXPECT_TRUE(stream.Finish().ok());
}

TEST(SubmitStream, AFullQueueStopsTheReading) {
  FullServer full(SmallConfig("block", 4));
  Stream stream(full.server());
  {
    const Sender sender(&stream);
    full.server().AwaitWaiting(1);
    // HTTP/2's flow control stops the sender.
    const std::size_t sent = AwaitStandstill([&] { return sender.sent(); });
    EXPECT_LT(sent, kMany / 2);
    const MethodCounters counters =
        full.server().counters(Method::kSubmitStream);
    EXPECT_EQ(counters.received, 1u);
    EXPECT_EQ(full.server().view().waiting, 1u);
    full.store().Release();
    const grpc::Status status = stream.Finish();
    EXPECT_TRUE(status.ok()) << status.error_message();
  }
  EXPECT_THAT(stream.receipts(), SizeIs(kMany));
  EXPECT_THAT(full.store().stored(), SizeIs(kMany + 5));
}

TEST(SubmitStream, ASlowStoreStopsTheReadingOfOneStreamBeforeTheQueueIsFull) {
  TestServer server(SmallConfig("block", kMany));
  server.store().Hold();
  Stream stream(server);
  {
    const Sender sender(&stream);
    const std::size_t received = AwaitStandstill([&] {
      return static_cast<std::size_t>(
          server.counters(Method::kSubmitStream).received);
    });
    EXPECT_GT(received, 1u);
    EXPECT_LE(received, 256u);
    server.store().Release();
    EXPECT_TRUE(stream.Finish().ok());
  }
  EXPECT_THAT(stream.receipts(), SizeIs(kMany));
}

TEST(SubmitStream, AClientThatDoesNotReadItsReceiptsIsNotReadEither) {
  TestServer server(SmallConfig("block", 4));
  Stream stream(server);
  {
    const Sender sender(&stream);
    const std::size_t received = AwaitStandstill([&] {
      return static_cast<std::size_t>(
          server.counters(Method::kSubmitStream).received);
    });
    EXPECT_LT(received, kMany);
    EXPECT_TRUE(stream.Finish().ok());
  }
  EXPECT_THAT(stream.receipts(), SizeIs(kMany));
}

TEST(SubmitStream, MayBeCancelledAtAnyMoment) {
  Config config = SmallConfig("block", 4);
  config.pools["clinical"].workers = {.min = 2, .max = 2};
  TestServer server(config);
  for (std::size_t messages = 0; messages < 60; ++messages) {
    Stream stream(server);
    for (std::size_t i = 0; i < messages; ++i) {
      if (!stream.Write(MakeSubmit(absl::StrCat(messages, " ", i)))) break;
    }
    if (messages % 3 == 1) {
      Receipt receipt;
      stream.Read(&receipt);
    }
    if (messages % 3 == 2) stream.WritesDone();
    stream.Cancel();
    const grpc::StatusCode code = stream.Finish().error_code();
    EXPECT_TRUE(code == grpc::StatusCode::CANCELLED ||
                code == grpc::StatusCode::OK);
  }
}

TEST(SubmitStream, ACancelledOneTakesBackItsParkedMessage) {
  FullServer full(SmallConfig("block", 1));
  for (int i = 0; i < 10; ++i) {
    Stream stream(full.server());
    ASSERT_TRUE(stream.Write(MakeSubmit(absl::StrCat("cancelled ", i))));
    full.server().AwaitWaiting(1);
    stream.Cancel();
    EXPECT_EQ(stream.Finish().error_code(), grpc::StatusCode::CANCELLED);
    full.server().AwaitWaiting(0);
  }
  full.store().Release();
  full.caller().AwaitEnded(2);
  full.server().Drain();
  EXPECT_THAT(StoredIds(full.store()), ElementsAre("in work", "queued 1"));
}

TEST(SubmitStream, MayLoseItsConnectionAtAnyMoment) {
  FullServer full(SmallConfig("block", 1));
  for (int messages = 0; messages < 10; ++messages) {
    auto stream = std::make_unique<Stream>(full.server());
    for (int i = 0; i < messages; ++i) {
      stream->Write(MakeSubmit(absl::StrCat(messages, " ", i)));
    }
    stream->Cancel();
    stream->Finish();
    stream.reset();
  }
  full.server().AwaitWaiting(0);
}

TEST(SubmitStream, IsEndedByADrainWhileIdle) {
  TestServer server(SmallConfig("block", 4));
  std::vector<std::unique_ptr<Stream>> streams;
  for (int i = 0; i < 3; ++i) {
    streams.push_back(std::make_unique<Stream>(server));
    Receipt receipt;
    ASSERT_TRUE(streams.back()->Write(MakeSubmit(absl::StrCat(i))));
    ASSERT_TRUE(streams.back()->Read(&receipt));
  }
  server.Drain();
  for (const auto& stream : streams) {
    const grpc::Status status = stream->Finish();
    EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE);
    EXPECT_NE(TrailerOf(stream->context(), "grpc-retry-pushback-ms"), "");
  }
}

TEST(SubmitStream, ADrainAnswersWhatItTookBeforeItEnds) {
  FullServer full(SmallConfig("block", 3));
  Stream stream(full.server());
  ASSERT_TRUE(stream.Write(MakeSubmit("parked")));
  full.server().AwaitWaiting(1);
  std::thread drain([&] { full.server().Drain(); });
  Receipt receipt;
  EXPECT_TRUE(stream.Read(&receipt));
  EXPECT_EQ(receipt.submission_id(), "parked");
  EXPECT_EQ(receipt.disposition(), Receipt::REFUSED);
  EXPECT_EQ(stream.Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
  full.store().Release();
  drain.join();
}

TEST(SubmitStream, MalformedMetadataEndsIt) {
  TestServer server(SmallConfig("block", 4));
  grpc::ClientContext context;
  context.AddMetadata("sluice-sent-at", "yesterday");
  const auto stream = server.stub().SubmitStream(&context);
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::INVALID_ARGUMENT);
}

}  // namespace
}  // namespace sluice
