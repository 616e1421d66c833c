// A task without a caller.

#ifndef SLUICE_BENCH_MICRO_IDLE_TASK_H_
#define SLUICE_BENCH_MICRO_IDLE_TASK_H_

#include "pool/task.h"

namespace sluice {

class IdleTask final : public Task {
 public:
  void OnEnded(TaskResult, Duration) override {}
  void OnDone() override {}
};

}  // namespace sluice

#endif  // SLUICE_BENCH_MICRO_IDLE_TASK_H_
