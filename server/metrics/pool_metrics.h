// The counters of pools and methods. Each scrape reads each pool's Gate in one
// snapshot, so that the counters always balance:
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

// A method and the policies that label its counters.
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

  // From now on refusals of `method` are counted under this policy.
  void SetPolicy(Method method, const std::string& policy);
  // From now on shadow verdicts of `method` are counted under this policy.
  // Empty: the method has no shadow policy.
  void SetShadow(Method method, const std::string& policy);

 private:
  MethodCounters CountersOf(Method method) const;

  const std::vector<const WorkerPool*> pools_;
  const std::vector<CountedMethod> methods_;

  // Held while the pools are read. Otherwise a scrape could read the counts
  // before a SetPolicy and use them after it, so that a total would decrease.
  mutable absl::Mutex mutex_;
  std::map<Method, RefusalsByPolicy> refusals_ ABSL_GUARDED_BY(mutex_);
  std::map<Method, ShadowByPolicy> shadows_ ABSL_GUARDED_BY(mutex_);
};

// Returns the value of the label `verdict`, e.g. "park".
std::string_view VerdictName(Verdict::Kind kind);

}  // namespace sluice

#endif  // SLUICE_SERVER_METRICS_POOL_METRICS_H_
