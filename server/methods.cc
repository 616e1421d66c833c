#include "server/methods.h"

#include <utility>

#include "base/check.h"

namespace sluice {

Methods::Methods(const Config& config, const Pools& pools, RecentIds* recent,
                 Leftovers* leftovers, prometheus::Registry* registry) {
  for (const Method method : kAllMethods) {
    const std::size_t index = Index(method);
    const MethodConfig& method_config = config.method(method);
    settings_[index].Set(MakeMethodSettings(
        method_config, config.pools.at(method_config.pool).fair_by));
    rpc_metrics_[index] = std::make_unique<RpcMetrics>(method, registry);
    const ServerPool& pool = pools.at(method_config.pool);
    contexts_[index] = {.method = method,
                        .limits = config.limits,
                        .settings = &settings_[index],
                        .pool = pool.workers.get(),
                        .journal = pool.journal_writer.get(),
                        .recent = recent,
                        .rpc_metrics = rpc_metrics_[index].get(),
                        .leftovers = leftovers};
  }
}

std::shared_ptr<PoolMetrics> Methods::MakePoolMetrics(
    const Config& config, const Pools& pools) const {
  std::vector<const WorkerPool*> workers;
  for (const auto& [name, pool] : pools.by_name()) {
    workers.push_back(pool.workers.get());
  }
  std::vector<CountedMethod> counted;
  for (const MethodContext& context : contexts_) {
    const MethodConfig& method = config.method(context.method);
    counted.push_back(
        {context.method, method.on_full, method.shadow.on_full, context.pool});
  }
  return std::make_shared<PoolMetrics>(std::move(workers), std::move(counted));
}

void Methods::Apply(const Config& before, const Config& config,
                    PoolMetrics* metrics) {
  for (const Method method : kAllMethods) {
    const MethodConfig& now = config.method(method);
    // A method keeps its pool until the next start.
    SLUICE_DCHECK(now.pool == before.method(method).pool);
    const FairBy fair_by = config.pools.at(now.pool).fair_by;
    if (now == before.method(method) &&
        fair_by == before.pools.at(now.pool).fair_by) {
      continue;
    }
    settings_[Index(method)].Set(MakeMethodSettings(now, fair_by));
    if (now.on_full != before.method(method).on_full) {
      metrics->SetPolicy(method, now.on_full);
    }
    if (now.shadow.on_full != before.method(method).shadow.on_full) {
      metrics->SetShadow(method, now.shadow.on_full);
    }
  }
}

int Methods::calls_in_flight() const {
  int calls = 0;
  for (const auto& metrics : rpc_metrics_) calls += metrics->in_flight();
  return calls;
}

}  // namespace sluice
