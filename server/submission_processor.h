// What workers do with submissions: decode, hash, and put the batch in the
// store, each behind a wall, so that one that throws takes nothing with it.

#ifndef SLUICE_SERVER_SUBMISSION_PROCESSOR_H_
#define SLUICE_SERVER_SUBMISSION_PROCESSOR_H_

#include <functional>
#include <span>
#include <vector>

#include "pool/clock.h"
#include "pool/worker_pool.h"
#include "server/stage_metrics.h"
#include "server/submission_task.h"
#include "stores/store.h"

namespace sluice {

// A step of one's own, run on each submission before it is stored. It may
// throw: the submission then fails alone.
using ProcessingStep = std::function<void(const Submission&)>;

// Thread-safe.
class SubmissionProcessor final : public Processor {
 public:
  // `store`, `clock` and `metrics` must outlive the processor; `step` may be
  // empty.
  SubmissionProcessor(Store* store, ProcessingStep step, Clock* clock,
                      StageMetrics* metrics);

  // The batch must be of SubmissionTasks.
  void Process(std::span<Task* const> batch) override;

 private:
  // Whether the task is to be stored; its outcome is set where it is not.
  bool Prepare(SubmissionTask* task) const;
  void Save(std::span<SubmissionTask* const> tasks);

  Store* const store_;
  const ProcessingStep step_;
  Clock* const clock_;
  StageMetrics* const metrics_;
};

}  // namespace sluice

#endif  // SLUICE_SERVER_SUBMISSION_PROCESSOR_H_
