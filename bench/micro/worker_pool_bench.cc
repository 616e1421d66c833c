#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/clock.h"
#include "benchmark/benchmark.h"
#include "policies/block.h"
#include "pool/worker_pool.h"

namespace sluice {
namespace {

class DoesNothing final : public Processor {
 public:
  StoreState Process(std::span<Task* const> batch) override {
    for (Task* task : batch) task->result = TaskResult::kStored;
    return StoreState::kUp;
  }
};

// A task that counts down the unfinished tasks of its burst.
class BurstTask final : public Task {
 public:
  void SetLeft(std::atomic<std::size_t>* left) { left_ = left; }
  void OnEnded(TaskResult, Duration) override { OnDone(); }
  void OnDone() override {
    if (left_->fetch_sub(1) == 1) left_->notify_one();
  }

 private:
  std::atomic<std::size_t>* left_ = nullptr;
};

void Await(std::atomic<std::size_t>& left) {
  for (std::size_t now = left; now > 0; now = left) left.wait(now);
}

// Passes a burst of tasks to a worker and waits until all are done. With one
// task, the benchmark measures a wake-up in both directions.
void WorkerPoolHandOff(benchmark::State& state) {
  const auto burst = static_cast<std::size_t>(state.range(0));
  const auto workers = static_cast<std::size_t>(state.range(1));
  std::atomic<std::int64_t> sequence{0};
  std::atomic<std::size_t> left{0};
  DoesNothing processor;
  const BlockPolicy block;
  WorkerPool pool(
      {.name = "bench", .workers = {.min = workers, .max = workers}},
      &processor, SystemClock(), &sequence);
  std::vector<BurstTask> tasks(burst);
  for (BurstTask& task : tasks) task.SetLeft(&left);
  for (auto _ : state) {
    left = burst;
    for (BurstTask& task : tasks) pool.Arrive(&task, block);
    Await(left);
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
  pool.Close(kForever);
  pool.AwaitIdle(kForever);
}
BENCHMARK(WorkerPoolHandOff)
    ->ArgNames({"burst", "workers"})
    ->ArgsProduct({{1, 64, 256}, {1, 2}})
    ->UseRealTime();

}  // namespace
}  // namespace sluice
