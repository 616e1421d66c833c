// Metrics and probes over plain HTTP/1.1:
//
//   /metrics  metrics in the Prometheus text format 0.0.4
//   /healthz  200 while the process runs
//   /readyz   200, or 503 with the reason if the server cannot acknowledge
//             submissions; with ?method=NAME, the same for one method
//
// Only GET and HEAD are allowed. There is no authentication and no TLS, so the
// address should be on loopback or on a network of the operator.

#ifndef SLUICE_SERVER_METRICS_HTTP_ENDPOINT_H_
#define SLUICE_SERVER_METRICS_HTTP_ENDPOINT_H_

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "prometheus/collectable.h"

namespace sluice {

// One thread handles all connections and never waits. A second thread renders
// the metrics, so that a metric whose lock is taken delays /metrics only. Not
// thread-safe.
//
// A slow or silent client costs one connection, until the request's deadline.
// While all connections are in use, a new connection replaces the connection
// whose request (or pause between two requests) began earliest. The metric
// sluice_http_dropped_connections_total counts the connections that were cut.
class HttpEndpoint {
 public:
  // The answer to /readyz.
  struct Readiness {
    bool ready = false;
    std::string text;  // body of the answer; ends with a line break
  };
  // Metrics and readiness of the server behind the endpoint.
  struct Content {
    std::vector<std::shared_ptr<prometheus::Collectable>> metrics;
    // Returns the readiness of the method called `method`, or of the whole
    // server if the name is empty. Returns nothing if there is no such method.
    // Called on the thread that answers /healthz: must not wait.
    std::function<std::optional<Readiness>(std::string_view method)> readiness;
  };
  struct Options {
    std::string address;  // as in ListeningSockets::Open
    // If `readiness` is empty, the server counts as starting: there are no
    // metrics, and /readyz returns 503.
    Content content = {};
    // Time for a request, from its first byte (of a new connection: from its
    // start) until the last byte of the answer is written.
    absl::Duration request_timeout = absl::Seconds(10);
    // Time that a connection may be idle between two requests.
    absl::Duration idle_timeout = absl::Seconds(60);
    std::size_t connections_max = 64;
  };

  // Starts an endpoint, which serves once this has returned. UNAVAILABLE if it
  // cannot listen on the address, e.g. because the address is in use.
  static absl::StatusOr<std::unique_ptr<HttpEndpoint>> Start(Options options);

  // Replaces the content. Later requests get the new content.
  void SetContent(Content content);

  // Cuts all connections. Waits until metrics that are being rendered are
  // complete.
  ~HttpEndpoint();

  HttpEndpoint(const HttpEndpoint&) = delete;
  HttpEndpoint& operator=(const HttpEndpoint&) = delete;

  // The actual port, also if the address says port 0.
  int port() const { return port_; }

 private:
  class Connection;
  class Loop;

  HttpEndpoint(std::unique_ptr<Loop> loop, int port);

  const std::unique_ptr<Loop> loop_;
  const int port_;
};

}  // namespace sluice

#endif  // SLUICE_SERVER_METRICS_HTTP_ENDPOINT_H_
