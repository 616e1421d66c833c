#include "server/metrics/log_metrics.h"

#include "base/log.h"
#include "server/metrics/families.h"

namespace sluice {

std::vector<prometheus::MetricFamily> LogMetrics::Collect() const {
  return {SingleCounter("sluice_log_lines_dropped_total",
                        "Lines of the log that were dropped, because standard "
                        "error did not accept them.",
                        static_cast<double>(DroppedLogLines()))};
}

}  // namespace sluice
