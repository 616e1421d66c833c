// Metrics of the log.

#ifndef SLUICE_SERVER_METRICS_LOG_METRICS_H_
#define SLUICE_SERVER_METRICS_LOG_METRICS_H_

#include <vector>

#include "prometheus/collectable.h"
#include "prometheus/metric_family.h"

namespace sluice {

// Thread-safe.
class LogMetrics final : public prometheus::Collectable {
 public:
  std::vector<prometheus::MetricFamily> Collect() const override;
};

}  // namespace sluice

#endif  // SLUICE_SERVER_METRICS_LOG_METRICS_H_
