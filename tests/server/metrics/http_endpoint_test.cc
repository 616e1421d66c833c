#include "server/metrics/http_endpoint.h"

#include <atomic>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "prometheus/counter.h"
#include "prometheus/registry.h"
#include "tests/fakes/patience.h"
#include "tests/fakes/tcp_connection.h"

namespace sluice {
namespace {

using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

class HttpEndpointTest : public testing::Test {
 protected:
  HttpEndpointTest() {
    auto& family = prometheus::BuildCounter()
                       .Name("apples_total")
                       .Help("Apples seen.")
                       .Register(*registry_);
    family.Add({{"kind", "red"}}).Increment(3);
    endpoint_ = Start("127.0.0.1:0").value();
  }

  absl::StatusOr<std::unique_ptr<HttpEndpoint>> Start(
      const std::string& address,
      absl::Duration request_timeout = absl::Seconds(10)) {
    return HttpEndpoint::Start({.address = address,
                                .content = Content(),
                                .request_timeout = request_timeout});
  }

  HttpEndpoint::Content Content() {
    return {.metrics = {registry_, other_registry_},
            .readiness = [this](std::string_view method)
                -> std::optional<HttpEndpoint::Readiness> {
              if (method == "No/Such") return std::nullopt;
              return HttpEndpoint::Readiness{
                  .ready = ready_,
                  .text = absl::StrCat(
                      absl::string_view(method.data(), method.size()),
                      ready_ ? "ok\n" : "draining\n")};
            }};
  }

  // Returns the number of clients that were cut at a deadline. A slow machine
  // may miss the deadline of this question, too. Then returns 0, and the next
  // call returns more.
  int CutAtDeadlines() const {
    const std::string metrics = Ask("GET", "/metrics");
    const std::string_view name =
        "sluice_http_dropped_connections_total{reason=\"timeout\"} ";
    const std::size_t at = metrics.find(name);
    return at == std::string::npos
               ? 0
               : std::stoi(metrics.substr(at + name.size()));
  }

  // Returns the whole answer to one request.
  std::string Ask(const std::string& method, const std::string& path) const {
    const TcpConnection connection(endpoint_->port());
    EXPECT_TRUE(connection.connected());
    connection.Send(absl::StrCat(method, " ", path,
                                 " HTTP/1.1\r\nHost: localhost\r\n"
                                 "Connection: close\r\n\r\n"));
    return connection.ReadToEnd();
  }

  // Adds metrics of several megabytes, more than the buffers of a connection
  // hold.
  void FillMetrics() {
    auto& family = prometheus::BuildCounter()
                       .Name("leaves_total")
                       .Help("Leaves seen.")
                       .Register(*registry_);
    for (int i = 0; i < 200; ++i) {
      family.Add({{"tree", absl::StrCat(i, std::string(10'000, 'x'))}});
    }
  }

  std::shared_ptr<prometheus::Registry> registry_ =
      std::make_shared<prometheus::Registry>();
  std::shared_ptr<prometheus::Registry> other_registry_ =
      std::make_shared<prometheus::Registry>();
  std::atomic<bool> ready_{true};
  std::unique_ptr<HttpEndpoint> endpoint_;
};

TEST_F(HttpEndpointTest, MetricsComeFromAllSourcesInTheTextFormat) {
  prometheus::BuildCounter()
      .Name("pears_total")
      .Help("Pears seen.")
      .Register(*other_registry_)
      .Add({})
      .Increment();
  EXPECT_THAT(
      Ask("GET", "/metrics"),
      AllOf(StartsWith("HTTP/1.1 200 OK\r\n"),
            HasSubstr(
                "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"),
            HasSubstr("\n# TYPE apples_total counter\n"),
            HasSubstr("\napples_total{kind=\"red\"} 3\n"),
            HasSubstr("\npears_total 1\n")));
}

TEST_F(HttpEndpointTest, HeadHasTheSameHeadersAndNoBody) {
  for (const char* path : {"/metrics", "/healthz", "/readyz"}) {
    const std::string get = Ask("GET", path);
    EXPECT_EQ(Ask("HEAD", path), get.substr(0, get.find("\r\n\r\n") + 4));
  }
}

TEST_F(HttpEndpointTest, ContentLengthMatchesTheBody) {
  const std::string answer = Ask("GET", "/metrics");
  const std::size_t body_bytes = answer.size() - answer.find("\r\n\r\n") - 4;
  EXPECT_THAT(answer, HasSubstr(absl::StrCat("\r\nContent-Length: ", body_bytes,
                                             "\r\n")));
}

TEST_F(HttpEndpointTest, HealthzIsOkAlsoWhenNotReady) {
  ready_ = false;
  EXPECT_THAT(Ask("GET", "/healthz"), AllOf(StartsWith("HTTP/1.1 200 OK\r\n"),
                                            EndsWith("\r\n\r\nok\n")));
}

TEST_F(HttpEndpointTest, ReadyzFollowsTheCallback) {
  EXPECT_THAT(Ask("GET", "/readyz"), AllOf(StartsWith("HTTP/1.1 200 OK\r\n"),
                                           EndsWith("\r\n\r\nok\n")));
  ready_ = false;
  EXPECT_THAT(Ask("GET", "/readyz"),
              AllOf(StartsWith("HTTP/1.1 503 Service Unavailable\r\n"),
                    EndsWith("\r\n\r\ndraining\n")));
}

TEST_F(HttpEndpointTest, ReadyzAsksForTheMethodOfTheQuery) {
  EXPECT_THAT(Ask("GET", "/readyz?method=a.b.C/Submit"),
              EndsWith("\r\n\r\na.b.C/Submitok\n"));
  EXPECT_THAT(Ask("GET", "/readyz?x=1&method=a.b.C%2FSubmit&y"),
              EndsWith("\r\n\r\na.b.C/Submitok\n"));
  EXPECT_THAT(Ask("GET", "/readyz?methods=x&amethod=y"),
              EndsWith("\r\n\r\nok\n"));
  EXPECT_THAT(Ask("GET", "/readyz?method=No/Such"),
              StartsWith("HTTP/1.1 404 Not Found\r\n"));
}

TEST_F(HttpEndpointTest, IsAliveAndNotReadyWhileTheServerStarts) {
  endpoint_ = HttpEndpoint::Start({.address = "127.0.0.1:0"}).value();
  EXPECT_THAT(Ask("GET", "/healthz"), StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(Ask("GET", "/metrics"), StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(Ask("GET", "/readyz"),
              AllOf(StartsWith("HTTP/1.1 503 Service Unavailable\r\n"),
                    EndsWith("\r\n\r\nstarting\n")));
  endpoint_->SetContent(Content());
  EXPECT_THAT(Ask("GET", "/readyz"), StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(Ask("GET", "/metrics"), HasSubstr("apples_total"));
}

TEST_F(HttpEndpointTest, AQueryChangesNothing) {
  EXPECT_THAT(Ask("GET", "/healthz?verbose=1"), StartsWith("HTTP/1.1 200 "));
}

TEST_F(HttpEndpointTest, OtherPathsAreNotFound) {
  for (const char* path :
       {"/", "/metrics/", "/metrics/x", "/metricsx", "/healthz/..",
        "/../../etc/passwd", "/config.yaml", "/%2e%2e/%2e%2e/etc/passwd",
        "/METRICS", "/metrics%00", "/metrics%00?x", "/healthz%00"}) {
    EXPECT_THAT(Ask("GET", path),
                AllOf(StartsWith("HTTP/1.1 4"), Not(HasSubstr("root:"))))
        << path;
  }
  EXPECT_THAT(Ask("GET", "/nothing"), StartsWith("HTTP/1.1 404 Not Found\r\n"));
}

TEST_F(HttpEndpointTest, OtherMethodsAreNotAllowed) {
  for (const char* method : {"POST", "PUT", "DELETE", "PATCH", "OPTIONS"}) {
    EXPECT_THAT(
        Ask(method, "/metrics"),
        AllOf(StartsWith("HTTP/1.1 405 Method Not Allowed\r\n"),
              HasSubstr("\r\nAllow: GET, HEAD\r\n"), Not(HasSubstr("apples"))))
        << method;
  }
}

TEST_F(HttpEndpointTest, ABodyIsNotWaitedFor) {
  endpoint_ = Start("127.0.0.1:0", absl::Hours(1)).value();
  for (const char* method : {"GET", "POST"}) {
    const TcpConnection connection(endpoint_->port());
    connection.Send(absl::StrCat(method,
                                 " /healthz HTTP/1.1\r\nHost: localhost\r\n"
                                 "Content-Length: 9999999999\r\n\r\n"));
    EXPECT_THAT(connection.ReadToEnd(), StartsWith("HTTP/1.1 "));
  }
}

TEST_F(HttpEndpointTest, NonsenseIsRefused) {
  for (const std::string& text :
       {std::string("\r\n\r\n"), std::string("GET\r\n\r\n"),
        std::string("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 15),
        std::string("GET / HTTP/9.9\r\n\r\n"),
        std::string("TRACE /metrics HTTP/1.1\r\nConnection: close\r\n\r\n"),
        "GET /" + std::string(100000, 'a') + " HTTP/1.1\r\n\r\n"}) {
    const TcpConnection connection(endpoint_->port());
    connection.Send(text);
    EXPECT_THAT(connection.ReadToEnd(), Not(HasSubstr("HTTP/1.1 200")));
  }
  EXPECT_THAT(Ask("GET", "/healthz"), StartsWith("HTTP/1.1 200 "));
}

TEST_F(HttpEndpointTest, AnswersManyAtOnce) {
  std::atomic<int> answered{0};
  std::vector<std::thread> clients;
  for (int i = 0; i < 16; ++i) {
    clients.emplace_back([&] {
      for (int j = 0; j < 20; ++j) {
        if (Ask("GET", "/metrics").starts_with("HTTP/1.1 200")) ++answered;
      }
    });
  }
  for (std::thread& client : clients) client.join();
  EXPECT_EQ(answered, 16 * 20);
}

TEST_F(HttpEndpointTest, AConnectionServesManyRequests) {
  const TcpConnection connection(endpoint_->port());
  for (int i = 0; i < 3; ++i) {
    connection.Send("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
    EXPECT_THAT(connection.ReadUntil("\r\n\r\nok\n"),
                StartsWith("HTTP/1.1 200 OK\r\n"));
  }
  // Requests that are sent together are answered in order.
  connection.Send(
      "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"
      "HEAD /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n"
      "GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
  EXPECT_THAT(connection.ReadToEnd(),
              testing::MatchesRegex("HTTP/1.1 200 (.|\n)*apples(.|\n)*"
                                    "HTTP/1.1 404 (.|\n)*"
                                    "HTTP/1.1 200 (.|\n)*ok\n"));
}

TEST_F(HttpEndpointTest, OldClientsGetTheEndOfTheConnection) {
  const TcpConnection connection(endpoint_->port());
  connection.Send("GET /healthz HTTP/1.0\r\n\r\n");
  EXPECT_THAT(connection.ReadToEnd(), AllOf(StartsWith("HTTP/1.0 200 OK\r\n"),
                                            EndsWith("\r\n\r\nok\n")));
}

TEST_F(HttpEndpointTest, SilentClientsAreClosedAndLaterOnesAnswered) {
  endpoint_ = Start("127.0.0.1:0", absl::Milliseconds(200)).value();
  std::vector<std::unique_ptr<TcpConnection>> silent;
  for (int i = 0; i < 20; ++i) {
    silent.push_back(std::make_unique<TcpConnection>(endpoint_->port()));
    ASSERT_TRUE(silent.back()->connected());
    if (i % 2 == 0) silent.back()->Send("GET /metrics HT");
  }
  EXPECT_THAT(Ask("GET", "/healthz"), StartsWith("HTTP/1.1 200 "));
  for (const auto& connection : silent) {
    EXPECT_THAT(connection->ReadToEnd(), Not(HasSubstr("200 OK")));
  }
  AwaitThat("the cut connections are counted",
            [&] { return CutAtDeadlines() >= 20; });
}

TEST_F(HttpEndpointTest, AClientThatSendsAByteAtATimeIsCutAtTheDeadline) {
  endpoint_ = Start("127.0.0.1:0", absl::Milliseconds(300)).value();
  const TcpConnection connection(endpoint_->port());
  connection.Send("GET /healthz HTTP/1.1\r\nX: ");
  // The peer's reset makes a later Send fail.
  AwaitThat("the connection is cut", [&] { return !connection.Send("x"); });
}

TEST_F(HttpEndpointTest, AClientThatDoesNotReadIsCutAtTheDeadline) {
  FillMetrics();
  endpoint_ = Start("127.0.0.1:0", absl::Milliseconds(300)).value();
  const TcpConnection connection(endpoint_->port());
  for (int i = 0; i < 20; ++i) {
    connection.Send("GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n");
  }
  AwaitThat("the connection is cut", [&] { return CutAtDeadlines() >= 1; });
}

TEST_F(HttpEndpointTest, ProbesAreAnsweredAmongHostileClients) {
  FillMetrics();
  endpoint_ = Start("127.0.0.1:0", absl::Hours(1)).value();
  std::atomic<bool> over{false};
  std::thread attack([&] {
    std::vector<std::unique_ptr<TcpConnection>> hostile(300);
    for (std::size_t i = 0; !over; i = (i + 1) % hostile.size()) {
      auto& connection = hostile[i];
      // One third drips a header, one third is silent, and one third does not
      // read. Whoever is cut comes back.
      const bool fresh = connection == nullptr;
      if (fresh) {
        connection = std::make_unique<TcpConnection>(endpoint_->port());
      }
      if (i % 3 == 0 &&
          !connection->Send(fresh ? "GET /x HTTP/1.1\r\nX: " : "x")) {
        connection.reset();
      }
      if (i % 3 == 1 &&
          !connection->Send("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")) {
        connection.reset();
      }
    }
  });
  for (int i = 0; i < 100; ++i) {
    EXPECT_THAT(Ask("GET", "/healthz"), StartsWith("HTTP/1.1 200 "));
    EXPECT_THAT(Ask("GET", "/readyz"), StartsWith("HTTP/1.1 200 "));
  }
  over = true;
  attack.join();
  EXPECT_THAT(
      Ask("GET", "/metrics"),
      Not(HasSubstr("dropped_connections_total{reason=\"replaced\"} 0")));
}

TEST_F(HttpEndpointTest, TheConnectionThatIsCutForAnotherIsTheOldest) {
  endpoint_ = HttpEndpoint::Start({.address = "127.0.0.1:0",
                                   .content = Content(),
                                   .request_timeout = absl::Hours(1),
                                   .idle_timeout = absl::Hours(1),
                                   .connections_max = 3})
                  .value();
  const TcpConnection used(endpoint_->port());
  const TcpConnection silent(endpoint_->port());
  const TcpConnection third(endpoint_->port());
  used.Send("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
  EXPECT_THAT(used.ReadUntil("ok\n"), StartsWith("HTTP/1.1 200 "));
  const TcpConnection fourth(endpoint_->port());
  EXPECT_EQ(silent.ReadToEnd(), "");
  for (const TcpConnection* kept : {&used, &third, &fourth}) {
    kept->Send("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
    EXPECT_THAT(kept->ReadUntil("ok\n"), StartsWith("HTTP/1.1 200 "));
  }
}

// Metrics whose collection hangs until the object is destroyed.
class HangingMetrics final : public prometheus::Collectable {
 public:
  std::vector<prometheus::MetricFamily> Collect() const override {
    begun_.Notify();
    over_->WaitForNotification();
    return {};
  }
  explicit HangingMetrics(absl::Notification* over) : over_(over) {}
  void AwaitBegun() const { begun_.WaitForNotification(); }

 private:
  absl::Notification* const over_;
  mutable absl::Notification begun_;
};

TEST_F(HttpEndpointTest, ProbesAreAnsweredWhileMetricsHang) {
  absl::Notification over;
  const auto hanging = std::make_shared<HangingMetrics>(&over);
  endpoint_->SetContent(
      {.metrics = {hanging}, .readiness = Content().readiness});
  std::string answer;
  std::thread scraper([&] { answer = Ask("GET", "/metrics"); });
  hanging->AwaitBegun();
  for (int i = 0; i < 100; ++i) {
    EXPECT_THAT(Ask("GET", "/healthz"), StartsWith("HTTP/1.1 200 "));
    EXPECT_THAT(Ask("GET", "/readyz"), StartsWith("HTTP/1.1 200 "));
  }
  endpoint_->SetContent(Content());
  over.Notify();
  scraper.join();
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 "));
}

TEST_F(HttpEndpointTest, StopsWhileASilentClientIsConnected) {
  endpoint_ = Start("127.0.0.1:0", absl::Hours(1)).value();
  const TcpConnection silent(endpoint_->port());
  ASSERT_TRUE(silent.connected());
  // Connections are accepted in order, so the silent one is accepted by now.
  EXPECT_THAT(Ask("GET", "/healthz"), StartsWith("HTTP/1.1 200 "));
  endpoint_.reset();
  EXPECT_EQ(silent.ReadToEnd(), "");
}

TEST_F(HttpEndpointTest, AnAddressInUseIsAnErrorThatNamesIt) {
  const std::string address = absl::StrCat("127.0.0.1:", endpoint_->port());
  const auto second = Start(address);
  EXPECT_EQ(second.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(second.status().message()),
              AllOf(StartsWith("metrics: cannot listen on " + address),
                    HasSubstr("Address already in use")));
}

TEST_F(HttpEndpointTest, AnInvalidAddressIsAnError) {
  for (const char* address :
       {"", "127.0.0.1", "nonsense", "127.0.0.1:0,127.0.0.1:0", "192.0.2.1:0",
        "127.0.0.1:99999", "no-such-host.invalid:0"}) {
    const auto endpoint = Start(address);
    EXPECT_FALSE(endpoint.ok()) << address;
    EXPECT_THAT(std::string(endpoint.status().message()),
                StartsWith("metrics: "));
  }
}

TEST_F(HttpEndpointTest, ListensOnlyOnTheGivenHost) {
  EXPECT_TRUE(TcpConnection(endpoint_->port(), "127.0.0.1").connected());
  EXPECT_FALSE(TcpConnection(endpoint_->port(), "127.0.0.2").connected());
}

TEST_F(HttpEndpointTest, TakesAHostName) {
  const auto endpoint = Start("localhost:0");
  ASSERT_TRUE(endpoint.ok()) << endpoint.status();
  EXPECT_TRUE(TcpConnection((*endpoint)->port()).connected());
}

TEST_F(HttpEndpointTest, ThePortIsFreeAfterwards) {
  const std::string address = absl::StrCat("127.0.0.1:", endpoint_->port());
  endpoint_.reset();
  EXPECT_TRUE(Start(address).ok());
}

}  // namespace
}  // namespace sluice
