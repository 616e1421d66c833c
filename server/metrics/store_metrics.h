// Metrics of the store.

#ifndef SLUICE_SERVER_METRICS_STORE_METRICS_H_
#define SLUICE_SERVER_METRICS_STORE_METRICS_H_

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "prometheus/collectable.h"
#include "prometheus/metric_family.h"

namespace sluice {

// Thread-safe.
class StoreMetrics final : public prometheus::Collectable {
 public:
  // Returns the name of each hazard, and whether the hazard is present. Called
  // at each scrape, from any thread. Must not block.
  using Hazards = std::function<std::vector<std::pair<std::string, bool>>()>;
  explicit StoreMetrics(Hazards hazards) : hazards_(std::move(hazards)) {}

  std::vector<prometheus::MetricFamily> Collect() const override;

 private:
  const Hazards hazards_;
};

}  // namespace sluice

#endif  // SLUICE_SERVER_METRICS_STORE_METRICS_H_
