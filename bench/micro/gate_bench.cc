#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "bench/micro/idle_task.h"
#include "benchmark/benchmark.h"
#include "policies/block.h"
#include "policies/fail_fast.h"
#include "pool/gate.h"

namespace sluice {
namespace {

// Time between two events of the benchmark.
constexpr Duration kBetweenTasks = std::chrono::microseconds(10);

// A Gate and its tasks.
class GateAtWork {
 public:
  GateAtWork(std::size_t tasks, const GateLimits& limits)
      : gate_(limits, 1, &sequence_), tasks_(tasks) {}

  Gate& gate() { return gate_; }
  std::vector<IdleTask>& tasks() { return tasks_; }
  TimePoint now() const { return now_; }

  Admission::Kind Arrive(IdleTask& task) {
    now_ += kBetweenTasks;
    return gate_.Arrive(&task, block_, now_, &events_).kind;
  }

  void TakeAndDo(std::size_t count) {
    gate_.Take({.tasks = count}, now_, &batch_, &events_);
    for (Task* task : batch_) task->result = TaskResult::kStored;
    gate_.Done(batch_, StoreState::kUp, now_, &events_);
    batch_.clear();
    events_.clear();
  }

 private:
  std::atomic<std::int64_t> sequence_{0};
  Gate gate_;
  const BlockPolicy block_;
  std::vector<IdleTask> tasks_;
  TimePoint now_{};
  std::vector<Task*> batch_;
  GateEvents events_;
};

void GateArriveTakeDone(benchmark::State& state) {
  const auto batch = static_cast<std::size_t>(state.range(0));
  const auto lanes = static_cast<std::size_t>(state.range(1));
  GateAtWork work(batch, {.by_lane = lanes > 1});
  for (std::size_t i = 0; i < batch; ++i) work.tasks()[i].lane = i % lanes;
  for (auto _ : state) {
    for (IdleTask& task : work.tasks()) work.Arrive(task);
    work.TakeAndDo(batch);
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(GateArriveTakeDone)
    ->ArgNames({"batch", "lanes"})
    ->Args({1, 1})
    ->Args({64, 1})
    ->Args({256, 1})
    ->Args({256, 8})
    ->Args({256, 64});

// Measures arrivals that find the queue full and are admitted when the next
// batch is taken.
void GateParkAndLetIn(benchmark::State& state) {
  const auto batch = static_cast<std::size_t>(state.range(0));
  GateAtWork work(2 * batch, {.capacity = batch});
  std::size_t next = 0;
  const auto arrive = [&] {
    benchmark::DoNotOptimize(work.Arrive(work.tasks()[next]));
    next = (next + 1) % work.tasks().size();
  };
  for (std::size_t i = 0; i < batch; ++i) arrive();
  for (auto _ : state) {
    for (std::size_t i = 0; i < batch; ++i) arrive();
    work.TakeAndDo(batch);
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(GateParkAndLetIn)->ArgName("batch")->Arg(1)->Arg(64)->Arg(256);

void GateTurnAway(benchmark::State& state) {
  GateAtWork work(64, {.capacity = 64});
  for (IdleTask& task : work.tasks()) work.Arrive(task);
  const FailFastPolicy fail_fast;
  TimePoint now = work.now();
  for (auto _ : state) {
    now += kBetweenTasks;
    benchmark::DoNotOptimize(work.gate().TurnAway({.now = now}, 0, fail_fast));
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(GateTurnAway);

}  // namespace
}  // namespace sluice
