// Metrics of configuration reloads, named like those of Prometheus itself.

#ifndef SLUICE_SERVER_METRICS_RELOAD_METRICS_H_
#define SLUICE_SERVER_METRICS_RELOAD_METRICS_H_

#include "prometheus/counter.h"
#include "prometheus/gauge.h"
#include "prometheus/registry.h"

namespace sluice {

// Thread-safe. The registry owns the metrics and must outlive this object. The
// constructor sets the time of the last success, but counts no reload.
class ReloadMetrics {
 public:
  explicit ReloadMetrics(prometheus::Registry* registry);

  void Succeeded();
  void Failed();

 private:
  prometheus::Gauge* successful_;
  prometheus::Gauge* success_timestamp_;
  prometheus::Counter* successes_;
  prometheus::Counter* failures_;
};

}  // namespace sluice

#endif  // SLUICE_SERVER_METRICS_RELOAD_METRICS_H_
