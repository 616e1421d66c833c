#include <chrono>
#include <memory>

#include "absl/time/time.h"
#include "benchmark/benchmark.h"
#include "config/method.h"
#include "prometheus/registry.h"
#include "server/metrics/rpc_metrics.h"
#include "server/metrics/stage_metrics.h"

namespace sluice {
namespace {

// Measures threads that share the metrics of a method and of a pool, like loops
// and workers.
void RpcMetricsOfACall(benchmark::State& state) {
  static prometheus::Registry registry;
  static RpcMetrics metrics(Method::kSubmit, &registry);
  for (auto _ : state) {
    metrics.Started();
    metrics.Handled(grpc::StatusCode::OK, absl::Microseconds(150));
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(RpcMetricsOfACall)->Threads(1)->Threads(2)->UseRealTime();

void StageMetricsOfATask(benchmark::State& state) {
  static prometheus::Registry registry;
  static StageMetrics metrics("bench", &registry);
  for (auto _ : state) metrics.ObserveQueueWait(std::chrono::microseconds(150));
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(StageMetricsOfATask)->Threads(1)->Threads(2)->UseRealTime();

}  // namespace
}  // namespace sluice
