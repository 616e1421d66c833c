// The pools' counters as Prometheus reads them. They are taken from the Gates
// when Prometheus asks, each pool at one moment, so that they always balance:
//
//   received = admitted + rejections + dropped + abandoned + invalid + waiting
//   admitted = completed + queued + in work

#ifndef SLUICE_SERVER_POOL_METRICS_H_
#define SLUICE_SERVER_POOL_METRICS_H_

#include <string>
#include <string_view>
#include <vector>

#include "config/method.h"
#include "pool/worker_pool.h"
#include "prometheus/collectable.h"
#include "prometheus/metric_family.h"

namespace sluice {

// A method as its counters are labelled.
struct CountedMethod {
  Method method;
  std::string policy;
  const WorkerPool* pool;
};

// Thread-safe. The pools must outlive it.
class PoolMetrics final : public prometheus::Collectable {
 public:
  PoolMetrics(std::vector<const WorkerPool*> pools,
              std::vector<CountedMethod> methods);

  std::vector<prometheus::MetricFamily> Collect() const override;

 private:
  const std::vector<const WorkerPool*> pools_;
  const std::vector<CountedMethod> methods_;
};

// As the label `outcome` has it, e.g. "stored".
std::string_view OutcomeName(Outcome outcome);

}  // namespace sluice

#endif  // SLUICE_SERVER_POOL_METRICS_H_
