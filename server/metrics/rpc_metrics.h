// Metrics of RPCs, by the names that dashboards for gRPC servers know
// (go-grpc-prometheus, java-grpc-prometheus).

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

// Thread-safe; one for each method. The registry owns the metrics and must
// outlive this.
class RpcMetrics {
 public:
  RpcMetrics(Method method, prometheus::Registry* registry);

  // A call has been accepted.
  void Started();
  // It is finished, and its last operation is home.
  void Handled(grpc::StatusCode code, absl::Duration handling);

  // How many are between the two.
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
