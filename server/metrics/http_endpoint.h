// Metrics and probes over plain HTTP/1.1:
//
//   /metrics  metrics in the Prometheus text format 0.0.4
//   /healthz  200 while the process runs
//   /readyz   200, or 503 with the reason if the server cannot take submissions
//
// Only GET and HEAD are allowed. There is no authentication and no TLS, so the
// address should be on loopback or on a network of the operator.

#ifndef SLUICE_SERVER_METRICS_HTTP_ENDPOINT_H_
#define SLUICE_SERVER_METRICS_HTTP_ENDPOINT_H_

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "prometheus/collectable.h"

class CivetServer;
struct mg_connection;

namespace sluice {

// Serves from a few threads of its own. The number of connections and the time
// for a request are limited, so that slow or silent clients delay only each
// other. Not thread-safe.
class HttpEndpoint {
 public:
  // Metrics and readiness of the server behind the endpoint.
  struct Content {
    std::vector<std::shared_ptr<prometheus::Collectable>> metrics;
    // Returns OK, or an error whose one-line message is the reason. Called by
    // several threads at once. Must not block.
    std::function<absl::Status()> readiness;
  };
  struct Options {
    std::string address;  // host:port; an IPv4 address or a host name
    // If `readiness` is empty, the server counts as starting: there are no
    // metrics, and /readyz returns 503.
    Content content = {};
    // A connection without a complete request is closed after this time.
    absl::Duration request_timeout = absl::Seconds(2);
  };

  // Starts an endpoint, which serves once this has returned. UNAVAILABLE if it
  // cannot listen on the address, e.g. because the address is in use.
  static absl::StatusOr<std::unique_ptr<HttpEndpoint>> Start(Options options);

  // Replaces the content. Later requests get the new content.
  void SetContent(Content content);

  // Waits until requests in progress are answered. A client that has connected
  // but not sent its request delays this by at most request_timeout.
  ~HttpEndpoint();

  HttpEndpoint(const HttpEndpoint&) = delete;
  HttpEndpoint& operator=(const HttpEndpoint&) = delete;

  // The actual port, also if the address says port 0.
  int port() const { return port_; }

 private:
  struct Response;

  explicit HttpEndpoint(Options options);

  absl::Status Listen();
  // Opens a connection to this endpoint and closes it.
  void ConnectOnce() const;

  // Callbacks of CivetServer, whose user context is the endpoint.
  static HttpEndpoint& Self(const mg_connection* connection);
  static int OnRequest(mg_connection* connection);
  static int OnLogMessage(const mg_connection* connection, const char* message);

  Response Answer(std::string_view method, std::string_view path) const;
  std::shared_ptr<const Content> content() const;
  static std::string MetricsText(const Content& content);

  // The members below are constant after Listen.
  const Options options_;
  int port_ = 0;

  mutable absl::Mutex mutex_;  // held briefly
  std::shared_ptr<const Content> content_ ABSL_GUARDED_BY(mutex_);
  // The HTTP library's first log message. If the library could not start, the
  // message is the reason.
  std::string first_log_message_ ABSL_GUARDED_BY(mutex_);

  // Declared last, so that it is destroyed first: its threads use all other
  // members.
  std::unique_ptr<CivetServer> server_;
};

}  // namespace sluice

#endif  // SLUICE_SERVER_METRICS_HTTP_ENDPOINT_H_
