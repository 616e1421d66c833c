#include "server/metrics/http_endpoint.h"

#include <algorithm>
#include <iterator>
#include <thread>
#include <utility>

#include "CivetServer.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "prometheus/metric_family.h"
#include "prometheus/text_serializer.h"

namespace sluice {
namespace {

constexpr char kPlainText[] = "text/plain; charset=utf-8";
constexpr char kMetricsText[] = "text/plain; version=0.0.4; charset=utf-8";

// A silent client occupies a thread until request_timeout. A connection that
// finds no thread and no room in the queue waits in the kernel's backlog. If
// the backlog is full, the kernel ignores further connections.
std::vector<std::string> CivetOptions(const HttpEndpoint::Options& options) {
  return {
      "listening_ports",
      options.address,
      "num_threads",
      "8",
      "connection_queue",
      "16",
      "listen_backlog",
      "64",
      "request_timeout_ms",
      absl::StrCat(absl::ToInt64Milliseconds(options.request_timeout)),
      "max_request_size",
      "8192",
      "enable_keep_alive",
      "no",
  };
}

}  // namespace

struct HttpEndpoint::Response {
  const char* status;
  const char* content_type;
  std::string body;
  const char* more_headers = "";
};

absl::StatusOr<std::unique_ptr<HttpEndpoint>> HttpEndpoint::Start(
    Options options) {
  std::unique_ptr<HttpEndpoint> endpoint(new HttpEndpoint(std::move(options)));
  if (const absl::Status status = endpoint->Listen(); !status.ok()) {
    return status;
  }
  return endpoint;
}

HttpEndpoint::HttpEndpoint(Options options) : options_(std::move(options)) {
  SetContent(options_.content);
}

void HttpEndpoint::SetContent(Content content) {
  if (!content.readiness) {
    content.readiness = [] { return absl::UnavailableError("starting"); };
  }
  auto shared = std::make_shared<const Content>(std::move(content));
  const absl::MutexLock lock(&mutex_);
  content_ = std::move(shared);
}

std::shared_ptr<const HttpEndpoint::Content> HttpEndpoint::content() const {
  const absl::MutexLock lock(&mutex_);
  return content_;
}

// The library's listening thread checks whether to stop only after each
// connection, and every two seconds. Wake it up with connections until it has
// stopped.
HttpEndpoint::~HttpEndpoint() {
  if (server_ == nullptr) return;
  absl::Notification stopped;
  std::thread connector([&] {
    do {
      ConnectOnce();
    } while (!stopped.WaitForNotificationWithTimeout(absl::Milliseconds(5)));
  });
  server_->close();
  stopped.Notify();
  connector.join();
}

void HttpEndpoint::ConnectOnce() const {
  const std::string host =
      options_.address.substr(0, options_.address.rfind(':'));
  char error[100];
  if (mg_connection* connection = mg_connect_client(
          host.c_str(), port_, /*use_ssl=*/0, error, sizeof(error))) {
    mg_close_connection(connection);
  }
}

absl::Status HttpEndpoint::Listen() {
  // The library would split a list of addresses at its commas.
  if (absl::StrContains(options_.address, ",")) {
    return absl::InvalidArgumentError(
        absl::StrCat("metrics: must be one host:port, not ", options_.address));
  }
  CivetCallbacks callbacks;
  callbacks.begin_request = OnRequest;
  callbacks.log_message = OnLogMessage;
  try {
    server_ =
        std::make_unique<CivetServer>(CivetOptions(options_), &callbacks, this);
  } catch (const CivetException&) {
    const absl::MutexLock lock(&mutex_);
    return absl::UnavailableError(absl::StrCat("metrics: cannot listen on ",
                                               options_.address, ": ",
                                               first_log_message_));
  }
  port_ = server_->getListeningPorts().front();
  return absl::OkStatus();
}

HttpEndpoint& HttpEndpoint::Self(const mg_connection* connection) {
  const auto* server =
      static_cast<const CivetServer*>(mg_get_user_context_data(connection));
  return *static_cast<HttpEndpoint*>(
      const_cast<void*>(server->getUserContext()));
}

// Keeps only the first message, for Listen. Later messages are about mistakes
// of clients.
int HttpEndpoint::OnLogMessage(const mg_connection* connection,
                               const char* message) {
  HttpEndpoint& self = Self(connection);
  const absl::MutexLock lock(&self.mutex_);
  if (self.first_log_message_.empty()) self.first_log_message_ = message;
  return 1;  // message handled
}

int HttpEndpoint::OnRequest(mg_connection* connection) {
  const mg_request_info& request = *mg_get_request_info(connection);
  const std::string_view method = request.request_method;
  const std::string_view path =
      request.local_uri == nullptr ? "" : request.local_uri;
  const Response response = Self(connection).Answer(method, path);

  std::string text = absl::StrCat(
      "HTTP/1.1 ", response.status, "\r\nContent-Type: ", response.content_type,
      "\r\nContent-Length: ", response.body.size(), response.more_headers,
      "\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n");
  if (method != "HEAD") text += response.body;
  mg_write(connection, text.data(), text.size());
  // With any other result the library would read from the client, for as long
  // as the client sends.
  return -1;
}

HttpEndpoint::Response HttpEndpoint::Answer(std::string_view method,
                                            std::string_view path) const {
  if (path != "/metrics" && path != "/healthz" && path != "/readyz") {
    return {"404 Not Found", kPlainText, "try /metrics, /healthz, /readyz\n"};
  }
  if (method != "GET" && method != "HEAD") {
    return {"405 Method Not Allowed", kPlainText,
            "only GET and HEAD are allowed\n", "\r\nAllow: GET, HEAD"};
  }
  const auto served = content();
  if (path == "/metrics") {
    return {"200 OK", kMetricsText, MetricsText(*served)};
  }
  const absl::Status ready =
      path == "/readyz" ? served->readiness() : absl::OkStatus();
  if (!ready.ok()) {
    return {"503 Service Unavailable", kPlainText,
            absl::StrCat(ready.message(), "\n")};
  }
  return {"200 OK", kPlainText, "ok\n"};
}

std::string HttpEndpoint::MetricsText(const Content& content) {
  std::vector<prometheus::MetricFamily> families;
  for (const auto& source : content.metrics) {
    std::vector<prometheus::MetricFamily> collected = source->Collect();
    std::ranges::move(collected, std::back_inserter(families));
  }
  return prometheus::TextSerializer().Serialize(families);
}

}  // namespace sluice
