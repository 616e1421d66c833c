// The counters of pools and methods. They are read from the Gates at each
// scrape, each pool in one snapshot, so that they balance at every scrape:
//
//   received = admitted + rejections + dropped + abandoned + invalid + waiting
//   admitted = completed + queued + in work

#ifndef SLUICE_SERVER_METRICS_POOL_METRICS_H_
#define SLUICE_SERVER_METRICS_POOL_METRICS_H_

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "config/method.h"
#include "pool/worker_pool.h"
#include "prometheus/collectable.h"
#include "prometheus/metric_family.h"
#include "server/metrics/counts_by_policy.h"

namespace sluice {

// A method with the policies by which its counters are labelled.
struct CountedMethod {
  Method method;
  std::string policy;
  std::string shadow;  // the shadow policy; empty if there is none
  const WorkerPool* pool;
};

using RefusalsByPolicy = CountsByPolicy<kTaskResults>;
using ShadowByPolicy = CountsByPolicy<kVerdictKinds>;

// Thread-safe. The pools must outlive this object.
class PoolMetrics final : public prometheus::Collectable {
 public:
  PoolMetrics(std::vector<const WorkerPool*> pools,
              std::vector<CountedMethod> methods);

  std::vector<prometheus::MetricFamily> Collect() const override;

  // Refusals of `method` are counted under this policy from now on.
  void SetPolicy(Method method, const std::string& policy);
  // Shadow verdicts of `method` are counted under this policy from now on;
  // empty: there is no shadow policy.
  void SetShadow(Method method, const std::string& policy);

 private:
  MethodCounters CountersOf(Method method) const;

  const std::vector<const WorkerPool*> pools_;
  const std::vector<CountedMethod> methods_;

  // Held while the pools are read. Otherwise a scrape could read counts from
  // before a SetPolicy and use them after it, as a total that has decreased.
  mutable absl::Mutex mutex_;
  std::map<Method, RefusalsByPolicy> refusals_ ABSL_GUARDED_BY(mutex_);
  std::map<Method, ShadowByPolicy> shadows_ ABSL_GUARDED_BY(mutex_);
};

// The value of the label `verdict`, e.g. "park".
std::string_view VerdictName(Verdict::Kind kind);

}  // namespace sluice

#endif  // SLUICE_SERVER_METRICS_POOL_METRICS_H_
