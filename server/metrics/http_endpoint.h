// What operators and their tools ask over plain HTTP/1.1:
//
//   /metrics  Prometheus text format 0.0.4
//   /healthz  200 while the process lives
//   /readyz   200, or 503 and why the server takes no submissions
//
// GET and HEAD alone. There is no authentication and no TLS: it belongs on
// loopback or a network of the operator's own.

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

// Serves from a few threads of its own, with a limit on the connections and on
// how long a client may take, so that slow or silent clients cost nothing but
// each other's patience.
class HttpEndpoint {
 public:
  struct Options {
    std::string address;  // host:port; an IPv4 address or a host name
    std::vector<std::shared_ptr<prometheus::Collectable>> metrics;
    // OK, or why not, in a line. Called by several threads at once; it must
    // not block.
    std::function<absl::Status()> readiness;
    // A client that has not sent its request by then is sent away.
    absl::Duration request_timeout = absl::Seconds(2);
  };

  // It serves from here on. UNAVAILABLE where the address cannot be had, e.g.
  // because it is in use.
  static absl::StatusOr<std::unique_ptr<HttpEndpoint>> Start(Options options);

  // Waits for the requests that are being answered, and for clients that are
  // silent up to two seconds.
  ~HttpEndpoint();

  HttpEndpoint(const HttpEndpoint&) = delete;
  HttpEndpoint& operator=(const HttpEndpoint&) = delete;

  // The one it listens on, also where the address said 0.
  int port() const { return port_; }

 private:
  struct Response;

  explicit HttpEndpoint(Options options);

  absl::Status Listen();
  void Knock() const;

  // Callbacks of CivetServer, which has this object as its context.
  static HttpEndpoint& Self(const mg_connection* connection);
  static int OnRequest(mg_connection* connection);
  static int OnLogMessage(const mg_connection* connection, const char* message);

  Response Answer(std::string_view method, std::string_view path) const;
  std::string MetricsText() const;

  // Constant after Listen:
  const Options options_;
  int port_ = 0;

  absl::Mutex mutex_;
  // What the HTTP library said first: why it could not start, if it could not.
  std::string first_log_message_ ABSL_GUARDED_BY(mutex_);

  // Its threads use all of the above, so it goes first.
  std::unique_ptr<CivetServer> server_;
};

}  // namespace sluice

#endif  // SLUICE_SERVER_METRICS_HTTP_ENDPOINT_H_
