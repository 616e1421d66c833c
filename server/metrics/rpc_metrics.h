// Metrics of RPCs. Uses the names of go-grpc-prometheus and
// java-grpc-prometheus, which dashboards for gRPC servers expect.

#ifndef SLUICE_SERVER_METRICS_RPC_METRICS_H_
#define SLUICE_SERVER_METRICS_RPC_METRICS_H_

#include <array>
#include <atomic>
#include <cstdint>

#include "absl/time/time.h"
#include "config/method.h"
#include "grpcpp/support/status_code_enum.h"
#include "prometheus/counter.h"
#include "prometheus/gauge.h"
#include "prometheus/histogram.h"
#include "prometheus/registry.h"

namespace sluice {

// Thread-safe. One object for each method. The registry owns the metrics and
// must outlive this object.
class RpcMetrics {
 public:
  RpcMetrics(Method method, prometheus::Registry* registry);

  // Counts a call that was accepted.
  void Started();
  // Counts a call whose last operation has completed. Must be called once for
  // each Started.
  void Handled(grpc::StatusCode code, absl::Duration handling);

  // Number of calls that are started and not handled.
  int in_flight() const { return static_cast<int>(in_flight_->Value()); }

 private:
  static constexpr std::size_t kCodes = 17;

  prometheus::Counter* started_;
  std::array<prometheus::Counter*, kCodes> handled_;
  prometheus::Histogram* handling_seconds_;
  prometheus::Gauge* in_flight_;
};

}  // namespace sluice

#endif  // SLUICE_SERVER_METRICS_RPC_METRICS_H_
