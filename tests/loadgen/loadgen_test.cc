#include "loadgen/loadgen.h"

#include <unistd.h>

#include <chrono>
#include <string>
#include <thread>

#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"
#include "loadgen/internal/load_loop.h"
#include "tests/fakes/fake_ingestion.h"
#include "tests/fakes/patience.h"
#include "tests/fakes/raw_server.h"

namespace sluice {
namespace {

using testing::AllOf;
using testing::AnyOf;
using testing::Contains;
using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;

// Answers every Submit with OK and the same bytes. Uses few threads for any
// number of open calls.
class RawAnswers final : public v1::Ingestion::WithRawCallbackMethod_Submit<
                             v1::Ingestion::Service> {
 public:
  explicit RawAnswers(std::string answer) : answer_(std::move(answer)) {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(),
                             &port_);
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
  }
  ~RawAnswers() override { server_->Shutdown(); }

  std::string target() const { return "127.0.0.1:" + std::to_string(port_); }

  grpc::ServerUnaryReactor* Submit(grpc::CallbackServerContext* context,
                                   const grpc::ByteBuffer*,
                                   grpc::ByteBuffer* response) override {
    const grpc::Slice slice(answer_);
    *response = grpc::ByteBuffer(&slice, 1);
    auto* reactor = context->DefaultReactor();
    reactor->Finish(grpc::Status::OK);
    return reactor;
  }

 private:
  const std::string answer_;
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

class LoadgenTest : public testing::Test {
 protected:
  LoadgenTest() {
    options_.target = server_.target();
    options_.samples.seed = 1;
    options_.duration = absl::Hours(1);
    options_.grace = kPatience;
  }

  LoadResult Run() {
    ProgressBar progress(-1);
    auto result = RunLoad(options_, progress, stop_);
    EXPECT_TRUE(result.ok()) << result.status();
    return result.ok() ? *std::move(result) : LoadResult();
  }

  absl::Status RunStatus() {
    ProgressBar progress(-1);
    return RunLoad(options_, progress, stop_).status();
  }

  // Lets the server answer once it holds exactly `count` calls.
  std::thread ReleaseOnceHeld(int count) {
    return std::thread([this, count] {
      EXPECT_TRUE(server_.AwaitHeld(count));
      EXPECT_EQ(server_.submissions().size(), static_cast<std::size_t>(count));
      server_.Release();
    });
  }

  FakeIngestion server_;
  LoadOptions options_;
  std::atomic<bool> stop_ = false;
};

TEST_F(LoadgenTest, ClosedLoopSendsAsManyAsTold) {
  options_.connections = 3;
  options_.outstanding = 4;
  options_.requests = 500;
  const LoadResult result = Run();
  EXPECT_EQ(result.counts.sent, 500);
  EXPECT_EQ(result.counts.ended(), 500);
  EXPECT_EQ(result.counts.of(absl::StatusCode::kOk), 500);
  EXPECT_EQ(result.counts.dispositions.of(v1::Receipt::STORED), 500);
  EXPECT_GT(result.counts.latency.min(), std::chrono::nanoseconds(0));
  EXPECT_GT(result.calls_per_second, 0);
  EXPECT_GT(result.bytes_sent, 500 * 500);
  EXPECT_FALSE(result.unreachable());

  const auto submissions = server_.submissions();
  ASSERT_EQ(submissions.size(), 500U);
  EXPECT_FALSE(submissions.front().response().item().empty());
}

TEST_F(LoadgenTest, ClosedLoopKeepsItsNumberInFlight) {
  server_.Hold();
  options_.connections = 2;
  options_.outstanding = 3;
  options_.requests = 7;
  std::thread release = ReleaseOnceHeld(6);
  EXPECT_EQ(Run().counts.of(absl::StatusCode::kOk), 7);
  release.join();
}

// A handler of the server holds one message; further messages of the stream
// wait.
TEST_F(LoadgenTest, MessagesAreSpreadAmongTheStreams) {
  server_.Hold();
  options_.method = LoadMethod::kStream;
  options_.connections = 2;
  options_.streams = 3;
  options_.outstanding = 6;
  options_.requests = 40;
  std::thread release = ReleaseOnceHeld(6);
  EXPECT_EQ(Run().counts.of(absl::StatusCode::kOk), 40);
  release.join();
}

TEST_F(LoadgenTest, EveryMethodIsUnderstood) {
  options_.outstanding = 4;
  options_.requests = 20;
  options_.samples.entries = 5;
  for (const auto& [method, receipts] :
       std::vector<std::pair<LoadMethod, int>>{{LoadMethod::kStream, 20},
                                               {LoadMethod::kImport, 100},
                                               {LoadMethod::kEvents, 100},
                                               {LoadMethod::kReceipts, 100}}) {
    options_.method = method;
    ++options_.samples.seed;
    const LoadResult result = Run();
    EXPECT_EQ(result.counts.of(absl::StatusCode::kOk), 20) << RpcName(method);
    EXPECT_EQ(result.counts.dispositions.of(method == LoadMethod::kReceipts
                                                ? v1::Receipt::UNKNOWN
                                                : v1::Receipt::STORED),
              receipts)
        << RpcName(method);
  }
}

TEST_F(LoadgenTest, TheSameSeedSendsTheSameIdsAgain) {
  options_.requests = 10;
  options_.samples.id_version = UuidVersion::kRandom;
  Run();
  EXPECT_EQ(Run().counts.dispositions.of(v1::Receipt::DUPLICATE), 10);
}

TEST_F(LoadgenTest, RefusalsAreCountedWithReasonAndPushback) {
  Refusal refusal;
  refusal.pushback = "120";
  for (int i = 0; i < 3; ++i) server_.RefuseNext(refusal);
  refusal = {.code = grpc::StatusCode::INVALID_ARGUMENT,
             .message = "no study_id",
             .reason = ""};
  server_.RefuseNext(refusal);
  options_.requests = 10;
  const LoadResult result = Run();
  const LoadCounts& counts = result.counts;
  EXPECT_EQ(counts.of(absl::StatusCode::kOk), 6);
  EXPECT_EQ(counts.of(absl::StatusCode::kResourceExhausted), 3);
  EXPECT_EQ(counts.of(absl::StatusCode::kInvalidArgument), 1);
  EXPECT_EQ(counts.first_message(absl::StatusCode::kInvalidArgument),
            "no study_id");
  EXPECT_THAT(counts.reasons,
              testing::ElementsAre(testing::Pair("QUEUE_FULL", 3)));
  EXPECT_EQ(counts.pushback_ms->max, 120);
  EXPECT_EQ(counts.dispositions.of(v1::Receipt::STORED), 6);
}

TEST_F(LoadgenTest, TheDeadlineIsSentAndKept) {
  server_.Hold();
  options_.outstanding = 2;
  options_.requests = 6;
  options_.deadline = absl::Milliseconds(200);
  const LoadResult result = Run();
  EXPECT_EQ(result.counts.of(absl::StatusCode::kDeadlineExceeded), 6);
  EXPECT_EQ(result.counts.past_deadline, 6);
  // The client or the server may notice the deadline first.
  EXPECT_GE(result.counts.latency.min(), std::chrono::milliseconds(190));
  server_.Release();
  for (const absl::Duration left : server_.submit_time_left()) {
    EXPECT_LE(left, 1.1 * options_.deadline);
  }
}

TEST_F(LoadgenTest, OpenLoopKeepsItsRateWhateverComesBack) {
  server_.Hold();
  options_.connections = 2;
  options_.outstanding = 0;
  options_.rate = 100;
  options_.duration = absl::Milliseconds(200);
  options_.in_flight_max = 6;
  options_.grace = absl::ZeroDuration();
  const LoadResult result = Run();
  // Calls beyond the limit are counted, although the server has stalled.
  EXPECT_EQ(result.counts.sent, 6);
  EXPECT_EQ(result.counts.not_sent, 14);
  EXPECT_EQ(result.counts.unfinished(), 6);
}

// Simulates a loop that stalled for an hour: calls that were due meanwhile are
// sent late, and their latency includes the delay.
TEST_F(LoadgenTest, LatencyCountsFromTheIntendedStart) {
  options_.outstanding = 0;
  options_.rate = 0.01;
  options_.duration = absl::Hours(2);
  options_.requests = 36;
  for (const auto method : {LoadMethod::kSubmit, LoadMethod::kStream}) {
    options_.method = method;
    const auto target = H2Target::Resolve(options_.target);
    ASSERT_TRUE(target.ok());
    ProgressBar progress(-1);
    LoadLoop loop(options_, *target, progress, stop_);
    ASSERT_TRUE(loop.Connect().ok());
    const auto start = std::chrono::steady_clock::now() - std::chrono::hours(1);
    const LatencyHistogram latency = loop.Run(start).counts.latency;
    EXPECT_EQ(latency.count(), 36) << RpcName(method);
    EXPECT_GE(latency.max(), std::chrono::hours(1)) << RpcName(method);
    // The 18th call was due after 1,700 seconds, the last call after 3,500
    // seconds.
    EXPECT_GE(latency.Percentile(50), std::chrono::seconds(1800));
    EXPECT_LT(latency.min(), std::chrono::minutes(10));
  }
}

TEST_F(LoadgenTest, OpenLoopEndsAfterItsRequests) {
  options_.outstanding = 0;
  options_.rate = 5000;
  options_.arrivals = Arrivals::kPoisson;
  options_.requests = 300;
  const LoadResult result = Run();
  EXPECT_EQ(result.counts.sent, 300);
  EXPECT_EQ(result.counts.of(absl::StatusCode::kOk), 300);
}

TEST_F(LoadgenTest, MetadataSayWhoseACallOfAProfileIs) {
  TrafficSource two;
  two.curve = RateCurve::Constant(1000, 3600);
  two.sites = 2;
  two.studies = 1;
  options_.profile =
      LoadProfile{.name = "", .duration = absl::Hours(1), .sources = {two}};
  options_.outstanding = 0;
  options_.requests = 40;
  EXPECT_EQ(Run().counts.of(absl::StatusCode::kOk), 40);
  EXPECT_THAT(server_.submit_metadata("sluice-study"),
              Each("Submit-1-study-1"));
  EXPECT_THAT(server_.submit_metadata("sluice-site"),
              AllOf(Each(AnyOf("Submit-1-site-1", "Submit-1-site-2")),
                    Contains("Submit-1-site-1"), Contains("Submit-1-site-2")));
}

TEST_F(LoadgenTest, WithoutAProfileNoMetadataSayWhoseACallIs) {
  options_.requests = 3;
  Run();
  EXPECT_THAT(server_.submit_metadata("sluice-site"), ElementsAre("", "", ""));
}

TEST_F(LoadgenTest, TheWarmupIsNotMeasured) {
  options_.warmup = absl::Milliseconds(50);
  options_.requests = 5;
  const LoadResult result = Run();
  EXPECT_EQ(result.counts.sent, 5);
  EXPECT_GT(server_.submissions().size(), 5U);
}

TEST_F(LoadgenTest, AnswersThatNeverComeAreTold) {
  server_.Hold();
  options_.outstanding = 3;
  options_.duration = absl::Milliseconds(50);
  options_.grace = absl::Milliseconds(50);
  const LoadResult result = Run();
  EXPECT_EQ(result.counts.unfinished(), 3);
  EXPECT_EQ(result.counts.ended(), 0);
  EXPECT_FALSE(result.unreachable());
}

TEST_F(LoadgenTest, StopsWhenTold) {
  server_.Hold();
  std::thread stopper([this] {
    EXPECT_TRUE(server_.AwaitHeld(1));
    stop_ = true;
    server_.Release();
  });
  const LoadResult result = Run();
  stopper.join();
  EXPECT_GE(result.counts.of(absl::StatusCode::kOk), 1);
}

TEST_F(LoadgenTest, ComesBackWhenTheServerDoes) {
  server_.Hold();
  options_.outstanding = 2;
  for (const auto method : {LoadMethod::kSubmit, LoadMethod::kStream}) {
    server_.Hold();
    stop_ = false;
    options_.method = method;
    const std::size_t before = server_.submissions().size();
    std::thread restart([this] {
      EXPECT_TRUE(server_.AwaitHeld(1));
      server_.Release();
      server_.Stop();
      const auto sent = server_.submissions().size();
      server_.Start();
      const absl::Time give_up = absl::Now() + kPatience;
      while (server_.submissions().size() < sent + 10 &&
             absl::Now() < give_up) {
        std::this_thread::yield();
      }
      stop_ = true;
    });
    const LoadResult result = Run();
    restart.join();
    EXPECT_GE(server_.submissions().size(), before + 10) << RpcName(method);
    EXPECT_GE(result.counts.connections_lost, 1);
    EXPECT_GE(result.counts.of(absl::StatusCode::kOk), 1);
    EXPECT_FALSE(result.unreachable());
  }
}

// The server sends its settings and then nothing. The client's own clock ends
// the calls, and further calls replace them.
TEST_F(LoadgenTest, TheClientKeepsTheDeadlineThatTheServerForgets) {
  const RawServer server(std::string("\0\0\0\4\0\0\0\0\0", 9),
                         RawServer::Then::kRead);
  options_.target = server.target();
  options_.outstanding = 2;
  options_.requests = 6;
  options_.deadline = absl::Milliseconds(20);
  // Limit the run, so that a missed deadline shows as a failure.
  options_.duration = absl::Seconds(20);
  options_.grace = absl::Seconds(20);
  const LoadResult result = Run();
  EXPECT_EQ(result.counts.of(absl::StatusCode::kDeadlineExceeded), 6);
  EXPECT_EQ(result.counts.past_deadline, 6);
  EXPECT_GE(result.counts.latency.min(), std::chrono::milliseconds(20));
}

TEST_F(LoadgenTest, AbandonsAShareOfTheCallsInFlightAtTheEnd) {
  const RawServer server(std::string("\0\0\0\4\0\0\0\0\0", 9),
                         RawServer::Then::kRead);
  options_.target = server.target();
  options_.outstanding = 100;
  options_.requests = 100;
  options_.grace = absl::ZeroDuration();
  options_.abandon = 0.5;
  const LoadResult half = Run();
  EXPECT_GT(half.counts.of(absl::StatusCode::kCancelled), 20);
  EXPECT_LT(half.counts.of(absl::StatusCode::kCancelled), 80);
  EXPECT_EQ(half.counts.ended(), half.counts.of(absl::StatusCode::kCancelled));

  options_.abandon = 1;
  options_.grace = kPatience;  // unused, since no call is left
  EXPECT_EQ(Run().counts.of(absl::StatusCode::kCancelled), 100);
}

// Call objects are reused, and must not keep state of the previous call.
TEST_F(LoadgenTest, ACallRemembersNothingOfTheOneBefore) {
  server_.RefuseNext({.pushback = "100"});
  server_.RefuseNext({.message = "", .reason = ""});
  options_.requests = 2;
  const LoadResult result = Run();
  EXPECT_EQ(result.counts.of(absl::StatusCode::kResourceExhausted), 2);
  EXPECT_THAT(result.counts.reasons,
              testing::ElementsAre(testing::Pair("QUEUE_FULL", 1)));
}

TEST_F(LoadgenTest, SaysThatNobodyListens) {
  server_.Stop();
  const auto status = RunStatus();
  EXPECT_TRUE(absl::IsUnavailable(status));
  EXPECT_THAT(std::string(status.message()), HasSubstr("Connection refused"));
}

TEST_F(LoadgenTest, RefusesATargetThatIsNone) {
  for (const char* target : {"", "localhost", ":50051", "127.0.0.1:"}) {
    options_.target = target;
    EXPECT_TRUE(absl::IsInvalidArgument(RunStatus())) << target;
  }
  options_.target = "127.0.0.1:no_such_port";
  EXPECT_TRUE(absl::IsUnavailable(RunStatus()));
}

TEST_F(LoadgenTest, SaysWhatIsWrongWithAServerThatIsNoGrpcServer) {
  std::string random;
  for (int i = 0; i < 1000; ++i) {
    random += static_cast<char>(i * 7919 % 251);
  }
  for (const std::string& greeting :
       {std::string(), std::string("HTTP/1.1 400 Bad Request\r\n\r\n"), random,
        // A frame of 16 MiB, and a frame of an unknown stream.
        std::string("\xff\xff\xff\4\0\0\0\0\0", 9),
        std::string("\0\0\0\1\4\0\0\0\7", 9)}) {
    const RawServer server(greeting, RawServer::Then::kClose);
    options_.target = server.target();
    const auto status = RunStatus();
    EXPECT_TRUE(absl::IsUnavailable(status)) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr("cannot connect"));
  }
}

TEST_F(LoadgenTest, CallsOfALostConnectionAreCounted) {
  // The server sends empty settings, and then nothing until the connection is
  // closed.
  const RawServer server(std::string("\0\0\0\4\0\0\0\0\0", 9),
                         RawServer::Then::kClose);
  options_.target = server.target();
  options_.outstanding = 2;
  options_.duration = absl::Milliseconds(300);
  ProgressBar progress(-1);
  const auto result = RunLoad(options_, progress, stop_);
  // Either Connect fails, or calls in flight are lost.
  if (result.ok()) {
    EXPECT_TRUE(result->unreachable());
    EXPECT_EQ(result->counts.of(absl::StatusCode::kUnavailable),
              result->counts.ended());
  }
}

TEST_F(LoadgenTest, DoesNotWaitForAServerThatSaysNothing) {
  const RawServer server("", RawServer::Then::kRead);
  options_.target = server.target();
  stop_ = true;
  const auto status = RunStatus();
  EXPECT_TRUE(absl::IsUnavailable(status));
  EXPECT_THAT(std::string(status.message()), HasSubstr("no HTTP/2 greeting"));
}

TEST_F(LoadgenTest, AnAnswerThatIsNoReceiptIsNoSuccess) {
  const RawAnswers server("\xff\xff\xff");
  options_.target = server.target();
  options_.requests = 5;
  const LoadResult result = Run();
  EXPECT_EQ(result.counts.of(absl::StatusCode::kInternal), 5);
  EXPECT_EQ(result.counts.of(absl::StatusCode::kOk), 0);
}

TEST_F(LoadgenTest, TakesAnswersAndRequestsOfMegabytes) {
  options_.method = LoadMethod::kImport;
  options_.samples.entries = 20'000;
  options_.outstanding = 2;
  options_.requests = 4;
  const LoadResult result = Run();
  EXPECT_EQ(result.counts.of(absl::StatusCode::kOk), 4);
  EXPECT_EQ(result.counts.dispositions.of(v1::Receipt::STORED), 80'000);
}

}  // namespace
}  // namespace sluice
