// The methods of the service, each bound to its pool, its settings and its
// metrics.

#ifndef SLUICE_SERVER_METHODS_H_
#define SLUICE_SERVER_METHODS_H_

#include <array>
#include <memory>
#include <vector>

#include "config/config.h"
#include "config/method.h"
#include "prometheus/registry.h"
#include "server/metrics/pool_metrics.h"
#include "server/metrics/rpc_metrics.h"
#include "server/pools.h"
#include "server/submissions/leftovers.h"
#include "server/submissions/method_context.h"
#include "server/submissions/method_settings.h"
#include "server/submissions/recent_ids.h"

namespace sluice {

// Thread-safe, except Apply, which only one thread may call at a time.
class Methods {
 public:
  // All arguments except `config` must outlive the methods.
  Methods(const Config& config, const Pools& pools, RecentIds* recent,
          Leftovers* leftovers, prometheus::Registry* registry);
  Methods(const Methods&) = delete;
  Methods& operator=(const Methods&) = delete;

  // Returns the context of a method, which lives as long as this object.
  const MethodContext& operator[](Method method) const {
    return contexts_[Index(method)];
  }

  // Creates the metrics of the pools and of these methods.
  std::shared_ptr<PoolMetrics> MakePoolMetrics(const Config& config,
                                               const Pools& pools) const;

  // Applies the changes from `before` to `config` to calls that arrive from now
  // on. Reports changed policies to `metrics`.
  void Apply(const Config& before, const Config& config, PoolMetrics* metrics);

  // Returns the number of calls that have arrived and are not finished.
  int calls_in_flight() const;

 private:
  std::array<LiveMethodSettings, kMethods> settings_;
  std::array<std::unique_ptr<RpcMetrics>, kMethods> rpc_metrics_;
  std::array<MethodContext, kMethods> contexts_;
};

}  // namespace sluice

#endif  // SLUICE_SERVER_METHODS_H_
