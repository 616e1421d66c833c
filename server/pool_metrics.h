// The pools' counters as Prometheus reads them. They are taken from the Gates
// when Prometheus asks, each pool at one moment, so that they always balance:
//
//   received = admitted + rejections + dropped + abandoned + invalid + waiting
//   admitted = completed + queued + in work

#ifndef SLUICE_SERVER_POOL_METRICS_H_
#define SLUICE_SERVER_POOL_METRICS_H_

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
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

// A method's refusals by the policy that it had when they were counted, so that
// no counter goes back or changes its policy when the method changes its own.
class RefusalsByPolicy {
 public:
  using Counts = std::array<std::uint64_t, kRefusalReasons>;  // by reason

  explicit RefusalsByPolicy(std::string policy) : policy_(std::move(policy)) {}

  // `total` is what the method has had so far, under all policies. It never
  // goes back from one call to the next.
  void Change(const Counts& total, const std::string& policy);
  std::map<std::string, Counts> At(const Counts& total) const;

 private:
  std::string policy_;
  // When `policy_` came: the total, and whose it is.
  Counts total_before_{};
  std::map<std::string, Counts> before_;
};

// Thread-safe. The pools must outlive it.
class PoolMetrics final : public prometheus::Collectable {
 public:
  PoolMetrics(std::vector<const WorkerPool*> pools,
              std::vector<CountedMethod> methods);

  std::vector<prometheus::MetricFamily> Collect() const override;

  // What `method` refuses from now on is refused by this policy.
  void SetPolicy(Method method, const std::string& policy);

 private:
  const std::vector<const WorkerPool*> pools_;
  const std::vector<CountedMethod> methods_;

  // Held while the pools are looked at, so that totals never go back.
  mutable absl::Mutex mutex_;
  std::map<Method, RefusalsByPolicy> refusals_ ABSL_GUARDED_BY(mutex_);
};

// As the label `outcome` has it, e.g. "stored".
std::string_view OutcomeName(Outcome outcome);

}  // namespace sluice

#endif  // SLUICE_SERVER_POOL_METRICS_H_
