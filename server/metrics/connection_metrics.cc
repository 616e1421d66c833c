#include "server/metrics/connection_metrics.h"

#include "server/metrics/families.h"

namespace sluice {

std::vector<prometheus::MetricFamily> ConnectionMetrics::Collect() const {
  const ConnectionAcceptor::Counts counts = acceptor_->Count();
  return {SingleGauge("sluice_connections", "Open connections.",
                      static_cast<double>(counts.open)),
          SingleCounter("sluice_connections_refused_total",
                        "Connections closed on arrival, because "
                        "limits.connections were open or descriptors ran out.",
                        static_cast<double>(counts.refused))};
}

}  // namespace sluice
