// Tests connections: their limit, silent peers, peers that send invalid bytes,
// and peers that never read.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"
#include "tests/fakes/http2_frames.h"
#include "tests/fakes/tcp_connection.h"
#include "tests/fakes/test_server.h"

namespace sluice {
namespace {

constexpr char kSubmit[] = "/sluice.v1.Ingestion/Submit";
constexpr char kSubmitStream[] = "/sluice.v1.Ingestion/SubmitStream";

Config LimitedTo(std::size_t connections) {
  Config config = SmallConfig("block", 64);
  config.limits.connections = connections;
  return config;
}

std::vector<std::unique_ptr<TcpConnection>> Connect(TestServer& server,
                                                    std::size_t count) {
  std::vector<std::unique_ptr<TcpConnection>> connections;
  for (std::size_t i = 0; i < count; ++i) {
    connections.push_back(
        std::make_unique<TcpConnection>(server.server().port()));
    EXPECT_TRUE(connections.back()->connected());
  }
  return connections;
}

// Returns the value of a metric without labels.
double Metric(TestServer& server, std::string_view name) {
  const std::string text = server.Get("/metrics");
  const std::string start = absl::StrCat("\n", std::string(name), " ");
  const std::size_t at = text.find(start);
  return at == std::string::npos ? -1
                                 : std::stod(text.substr(at + start.size()));
}

void AwaitConnections(TestServer& server, double count) {
  AwaitThat(absl::StrCat(count, " connections are open"),
            [&] { return Metric(server, "sluice_connections") == count; });
}

// Fails the test unless a submission over a new connection is stored.
void ExpectServes(TestServer& server, std::string_view submission_id) {
  const auto stub = v1::Ingestion::NewStub(server.NewChannel());
  grpc::ClientContext context;
  context.set_wait_for_ready(true);
  context.set_deadline(std::chrono::system_clock::now() +
                       std::chrono::seconds(60));
  v1::Receipt receipt;
  const grpc::Status status =
      stub->Submit(&context, MakeSubmit(submission_id), &receipt);
  EXPECT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(receipt.disposition(), v1::Receipt::STORED);
}

TEST(Connections, BeyondTheLimitAreClosedAsTheyCome) {
  TestServer server(LimitedTo(3));
  auto open = Connect(server, 3);
  AwaitConnections(server, 3);

  const TcpConnection one_more(server.server().port());
  EXPECT_EQ(one_more.ReadToEnd(), "");
  EXPECT_EQ(Metric(server, "sluice_connections"), 3);
  EXPECT_EQ(Metric(server, "sluice_connections_refused_total"), 1);

  open.pop_back();
  AwaitConnections(server, 2);
  ExpectServes(server, "1");
}

TEST(Connections, OfAServerThatIsFullServeOn) {
  TestServer server(LimitedTo(2));
  grpc::ClientContext context;
  v1::Receipt receipt;
  ASSERT_TRUE(server.stub().Submit(&context, MakeSubmit("1"), &receipt).ok());
  const auto open = Connect(server, 1);
  AwaitConnections(server, 2);
  for (int i = 0; i < 1000; ++i) {
    EXPECT_EQ(TcpConnection(server.server().port()).ReadToEnd(), "");
  }
  grpc::ClientContext again;
  EXPECT_TRUE(server.stub().Submit(&again, MakeSubmit("2"), &receipt).ok());
  EXPECT_EQ(Metric(server, "sluice_connections_refused_total"), 1000);
}

TEST(Connections, ThatSayNothingAreClosedInTimeAndKeepNobodyOut) {
  TestServer server(LimitedTo(2000));
  const auto silent = Connect(server, 1000);
  AwaitConnections(server, 1000);
  ExpectServes(server, "1");
  // The server closes the silent connections, on which it has sent nothing but
  // its settings.
  for (const auto& connection : silent) connection->ReadToEnd();
  AwaitConnections(server, 0);
}

TEST(Connections, ThatSayNothingDoNotHoldUpTheDrain) {
  TestServer server(LimitedTo(2000));
  const auto silent = Connect(server, 500);
  const auto greeted = Connect(server, 500);
  for (const auto& connection : greeted) connection->Send(http2::Opening());
  AwaitConnections(server, 1000);
  const DrainReport report = server.Drain();
  EXPECT_TRUE(report.clean());
  EXPECT_LT(report.took, absl::Seconds(15));
}

TEST(Connections, AreRefusedOnceTheServerIsDrained) {
  TestServer server(LimitedTo(10));
  const int port = server.server().port();
  ExpectServes(server, "1");
  server.Drain();
  EXPECT_FALSE(TcpConnection(port).connected());
}

constexpr std::uint32_t kCallsAtOnce = 64;

// Returns the number of TCP segments that carry the answers to calls that
// arrive at once.
std::uint32_t SegmentsOfAnswers(
    TestServer& server,
    const std::function<std::string(std::uint32_t call)>& request,
    const std::function<bool()>& all_answered) {
  const TcpConnection connection(server.server().port());
  std::string bytes = http2::Opening();
  for (std::uint32_t i = 0; i < kCallsAtOnce; ++i) {
    bytes += http2::Call(2 * i + 1, kSubmit, request(i));
  }
  EXPECT_TRUE(connection.Send(bytes));
  AwaitThat("all calls are answered", all_answered);
  server.Drain();
  connection.ReadToEnd();
  return connection.data_segments();
}

// If each answer were sent separately, there would be one segment for each
// call.
TEST(Connections, GetManyAnswersInFewPackets) {
  TestServer server(LimitedTo(10));
  const auto invalid = [](std::uint32_t) { return "no submission"; };
  const auto all_refused = [&] {
    return server.counters(Method::kSubmit)
               .not_admitted[TaskResult::kInvalid] == kCallsAtOnce;
  };
  EXPECT_LT(SegmentsOfAnswers(server, invalid, all_refused), kCallsAtOnce / 2);
}

// Each call is answered by a separate loop task.
TEST(Connections, GetManyAcknowledgementsInFewPackets) {
  Config config = LimitedTo(10);
  config.methods[Index(Method::kSubmit)].ack = Ack::kQueued;
  config.methods[Index(Method::kSubmit)].allow_loss = true;
  TestServer server(config);
  const auto valid = [](std::uint32_t call) {
    return MakeSubmit(absl::StrCat(call)).SerializeAsString();
  };
  const auto all_admitted = [&] {
    return server.counters(Method::kSubmit).admitted == kCallsAtOnce;
  };
  EXPECT_LT(SegmentsOfAnswers(server, valid, all_admitted), kCallsAtOnce / 2);
}

// If each receipt were written separately, there would be one frame for each
// receipt.
TEST(Connections, GetManyReceiptsOfAStreamInFewFrames) {
  Config config = LimitedTo(10);
  config.pools["clinical"].batch_max = kCallsAtOnce;
  TestServer server(config);
  server.store().Hold();
  const TcpConnection connection(server.server().port());
  std::string bytes =
      http2::Opening() + http2::Headers(1, http2::GrpcHeaders(kSubmitStream));
  for (std::uint32_t i = 0; i < kCallsAtOnce; ++i) {
    bytes += http2::Message(1, MakeSubmit(absl::StrCat(i)).SerializeAsString());
  }
  EXPECT_TRUE(connection.Send(bytes));
  AwaitThat("all messages are read", [&] {
    return server.counters(Method::kSubmitStream).admitted == kCallsAtOnce;
  });
  server.store().Release();
  server.Drain();
  const std::string answer = connection.ReadToEnd();
  EXPECT_GT(http2::CountFrames(answer, http2::kData), 0u);
  EXPECT_LT(http2::CountFrames(answer, http2::kData), kCallsAtOnce / 2);
}

TEST(Connections, ThatTalkNonsenseHarmNobody) {
  TestServer server(LimitedTo(1000));
  const std::string client_hello("\x16\x03\x01\x00\x05\x01\x00\x00\x01\x03",
                                 10);
  const std::string opening = http2::Opening();
  const std::string call =
      http2::Call(1, kSubmit, MakeSubmit("never").SerializeAsString());
  const std::vector<std::string> nonsense = {
      "",
      std::string("\0", 1),
      "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
      "PRI * HTTP/1.1\r\n\r\n",
      client_hello,
      std::string(100'000, 'x'),
      std::string(100'000, '\0'),
      http2::kPreface,
      http2::kPreface + std::string(100'000, '\xFF'),
      // A frame of an unknown type, and a frame larger than allowed.
      opening + "\x00\x00\x04\xEE" + std::string(9, '\0'),
      opening + "\xFF\xFF\xFF" + std::string(6, '\0'),
      // Headers that are not valid HPACK: on stream 1, on stream 0, on an even
      // stream.
      opening + http2::Frame(http2::kHeaders, http2::kEndHeaders, 1,
                             std::string(100, '\xFF')),
      opening + http2::Headers(0, http2::GrpcHeaders(kSubmit)),
      opening + http2::Headers(2, http2::GrpcHeaders(kSubmit)),
      // No path, no method, an invalid path, another content type.
      opening + http2::Headers(1, {}, http2::kEndHeaders | http2::kEndStream),
      opening + http2::Headers(1, {{":path", kSubmit}}),
      opening + http2::Headers(1, http2::GrpcHeaders("no slash")),
      opening + http2::Headers(1, http2::GrpcHeaders("")),
      opening + http2::Headers(1, {{":method", "GET"},
                                   {":scheme", "ftp"},
                                   {":path", "/"},
                                   {"content-type", "text/html"}}),
      // Headers that never end, data on a stream that never began, and a
      // message with a length prefix of 4 GiB.
      opening + http2::Headers(1, http2::GrpcHeaders(kSubmit), http2::kNone),
      opening + http2::Frame(http2::kData, http2::kEndStream, 1, "data"),
      opening + http2::Headers(1, http2::GrpcHeaders(kSubmit)) +
          http2::Frame(http2::kData, http2::kNone, 1,
                       std::string("\0\xFF\xFF\xFF\xFF", 5)),
      // A message that ends too early, and a stream that is opened twice.
      opening + http2::Headers(1, http2::GrpcHeaders(kSubmit)) +
          http2::Frame(http2::kData, http2::kEndStream, 1,
                       std::string("\0\0\0\0\x64xyz", 8)),
      opening + call.substr(0, call.size() / 2) + call,
  };
  for (const std::string& bytes : nonsense) {
    const TcpConnection connection(server.server().port());
    connection.Send(bytes);
  }
  ExpectServes(server, "1");
  AwaitConnections(server, 0);
  EXPECT_EQ(server.store().stored().size(), 1u);
}

TEST(Connections, WithRandomFramesHarmNobody) {
  TestServer server(LimitedTo(10'000));
  std::mt19937 random(20260301);
  const auto number = [&](std::size_t below) { return random() % below; };
  for (int i = 0; i < 500; ++i) {
    std::string bytes = http2::Opening();
    for (std::size_t frames = number(20); frames > 0; --frames) {
      std::string payload(number(64), '\0');
      for (char& c : payload) c = static_cast<char>(number(256));
      bytes += http2::Frame(static_cast<http2::FrameType>(number(11)),
                            static_cast<int>(number(64)),
                            static_cast<std::uint32_t>(number(8)), payload);
    }
    TcpConnection(server.server().port()).Send(bytes);
  }
  ExpectServes(server, "1");
  AwaitConnections(server, 0);
}

TEST(Connections, ThatEndAtAnyByteOfACallLeaveNothingBehind) {
  TestServer server(LimitedTo(10'000));
  const std::string whole =
      http2::Opening() +
      http2::Call(1, kSubmit, MakeSubmit("1").SerializeAsString());
  for (std::size_t bytes = 0; bytes <= whole.size(); ++bytes) {
    TcpConnection(server.server().port()).Send(whole.substr(0, bytes));
  }
  ExpectServes(server, "2");
  AwaitConnections(server, 0);
  // At most the last message was complete.
  EXPECT_LE(server.counters(Method::kSubmit).received, 2u);
}

// A client that sends calls again and again, and reads no answer.
// `stream_window` is as in http2::Opening.
class Deaf {
 public:
  Deaf(TestServer& server, std::size_t stream_window)
      : connection_(server.server().port()) {
    EXPECT_TRUE(connection_.Send(http2::Opening(stream_window)));
  }

  // Acknowledges the server's settings. The server ignores an acknowledgement
  // that arrives before it has sent its settings, so wait for them.
  void AcknowledgeSettings() {
    AwaitThat("the server's settings have arrived",
              [&] { return connection_.data_segments() > 0; });
    constexpr int kAck = 1;
    connection_.Send(http2::Frame(http2::kSettings, kAck, 0, ""));
  }

  void Submit(int count) {
    for (int i = 0; i < count; ++i, stream_ += 2) {
      const std::string id = absl::StrCat("deaf ", stream_);
      connection_.Send(
          http2::Call(stream_, kSubmit, MakeSubmit(id).SerializeAsString()));
    }
  }

 private:
  const TcpConnection connection_;
  std::uint32_t stream_ = 1;
};

TEST(Connections, ThatTakeNoAnswersHoldNoMoreCallsThanAllowed) {
  constexpr std::size_t kCalls = 50;
  Config config = LimitedTo(10);
  config.limits.calls_per_connection = kCalls;
  TestServer server(config);
  const auto in_flight = [&] {
    const std::string text = server.Get("/metrics");
    const std::string name = "sluice_in_flight{method=\"Submit\"} ";
    return std::stod(text.substr(text.find(name) + name.size()));
  };
  Deaf deaf(server, 0);
  deaf.Submit(1);
  AwaitThat("the first submission is stored",
            [&] { return server.store().stored().size() == 1; });
  deaf.AcknowledgeSettings();
  deaf.Submit(kCalls - 1);
  AwaitThat("all allowed submissions are stored",
            [&] { return server.store().stored().size() == kCalls; });
  EXPECT_EQ(in_flight(), kCalls);
  deaf.Submit(1000);
  ExpectServes(server, "1");
  // One more call, which was just answered, may be in flight.
  EXPECT_LE(in_flight(), kCalls + 1);
  EXPECT_LE(server.store().stored().size(), kCalls + 1);
  EXPECT_TRUE(server.Drain().clean());
}

TEST(Connections, ThatBeginAndResetCallsWithoutEndHarmNobody) {
  TestServer server(LimitedTo(10));
  server.store().Hold();
  {
    const TcpConnection connection(server.server().port());
    connection.Send(http2::Opening());
    const std::string message = MakeSubmit("reset").SerializeAsString();
    for (std::uint32_t stream = 1; stream < 40'000; stream += 2) {
      std::string call = http2::Call(stream, kSubmit, message);
      // Send complete calls on some streams, and headers without a message on
      // others.
      if (stream % 4 == 1) {
        call = http2::Headers(stream, http2::GrpcHeaders(kSubmit));
      }
      if (!connection.Send(call + http2::Frame(http2::kReset, http2::kNone,
                                               stream, std::string(4, 0)))) {
        break;
      }
    }
  }
  server.store().Release();
  ExpectServes(server, "1");
  AwaitConnections(server, 0);
}

TEST(Connections, ThatSendOnlyPingsHarmNobody) {
  TestServer server(LimitedTo(10));
  {
    const TcpConnection connection(server.server().port());
    connection.Send(http2::Opening());
    const std::string ping =
        http2::Frame(http2::kPing, http2::kNone, 0, "12345678");
    const std::string settings =
        http2::Frame(http2::kSettings, http2::kNone, 0, "");
    // The server closes the connection, although no answer is ever read.
    int sent = 0;
    while (connection.Send(ping + settings)) ++sent;
    EXPECT_LT(sent, 10'000'000);
  }
  ExpectServes(server, "1");
}

TEST(Connections, ThatReadNothingAtAllHarmNobody) {
  Config config = LimitedTo(10);
  TestServer server(config);
  std::vector<std::unique_ptr<Deaf>> all;
  for (int i = 0; i < 3; ++i) {
    all.push_back(std::make_unique<Deaf>(server, 65535));
    all.back()->Submit(2000);
    ExpectServes(server, absl::StrCat(i));
  }
  EXPECT_TRUE(server.Drain().clean());
}

}  // namespace
}  // namespace sluice
