#include "server/metrics/store_metrics.h"

#include "server/metrics/families.h"

namespace sluice {

std::vector<prometheus::MetricFamily> StoreMetrics::Collect() const {
  Family family(prometheus::MetricType::Gauge, "sluice_store_hazard",
                "1 if acknowledged submissions could be lost, by reason.");
  for (const auto& [name, present] : hazards_()) {
    family.Add({{"hazard", name}}, present ? 1 : 0);
  }
  return {family.Take()};
}

}  // namespace sluice
