// The pools' counters as Prometheus reads them. They are taken from the Gates
// when Prometheus asks, each pool at one moment, so that they always balance:
//
//   received = admitted + rejections + dropped + abandoned + invalid + waiting
//   admitted = completed + queued + in work

#ifndef SLUICE_SERVER_METRICS_POOL_METRICS_H_
#define SLUICE_SERVER_METRICS_POOL_METRICS_H_

#include <array>
#include <cstddef>
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
  std::string shadow;  // the policy that is only asked as well; empty: none
  const WorkerPool* pool;
};

// A method's counts of so many kinds by the policy that it had when they were
// counted, so that no counter goes back or changes its policy when the method
// changes its own.
template <std::size_t kKinds>
class CountsByPolicy {
 public:
  using Counts = std::array<std::uint64_t, kKinds>;

  explicit CountsByPolicy(std::string policy) : policy_(std::move(policy)) {}

  // `total` is what the method has had so far, under all policies. It never
  // goes back from one call to the next.
  void Change(const Counts& total, const std::string& policy) {
    before_ = At(total);
    total_before_ = total;
    policy_ = policy;
  }

  std::map<std::string, Counts> At(const Counts& total) const {
    std::map<std::string, Counts> counts = before_;
    Counts& since = counts[policy_];
    for (std::size_t i = 0; i < kKinds; ++i) {
      since[i] += total[i] - total_before_[i];
    }
    return counts;
  }

 private:
  std::string policy_;
  // When `policy_` came: the total, and whose it is.
  Counts total_before_{};
  std::map<std::string, Counts> before_;
};

using RefusalsByPolicy = CountsByPolicy<kTaskResults>;
using ShadowByPolicy = CountsByPolicy<kVerdictKinds>;

// Thread-safe. The pools must outlive it.
class PoolMetrics final : public prometheus::Collectable {
 public:
  PoolMetrics(std::vector<const WorkerPool*> pools,
              std::vector<CountedMethod> methods);

  std::vector<prometheus::MetricFamily> Collect() const override;

  // What `method` refuses from now on is refused by this policy.
  void SetPolicy(Method method, const std::string& policy);
  // And this one is asked as well, if it is not empty.
  void SetShadow(Method method, const std::string& policy);

 private:
  MethodCounters CountersOf(Method method) const;

  const std::vector<const WorkerPool*> pools_;
  const std::vector<CountedMethod> methods_;

  // Held while the pools are looked at, so that totals never go back.
  mutable absl::Mutex mutex_;
  std::map<Method, RefusalsByPolicy> refusals_ ABSL_GUARDED_BY(mutex_);
  std::map<Method, ShadowByPolicy> shadows_ ABSL_GUARDED_BY(mutex_);
};

// As the label `verdict` has it, e.g. "park".
std::string_view VerdictName(Verdict::Kind kind);

}  // namespace sluice

#endif  // SLUICE_SERVER_METRICS_POOL_METRICS_H_
