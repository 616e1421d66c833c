// What workers do with submissions: decode, and put the batch in the store,
// each behind a wall, so that one that throws takes nothing with it.

#ifndef SLUICE_SERVER_SUBMISSION_PROCESSOR_H_
#define SLUICE_SERVER_SUBMISSION_PROCESSOR_H_

#include <functional>
#include <span>
#include <vector>

#include "pool/clock.h"
#include "pool/worker_pool.h"
#include "server/loop_processor.h"
#include "server/stage_metrics.h"
#include "server/submission_task.h"
#include "stores/store.h"

namespace sluice {

// A step of one's own, run on each submission before it is stored. It may
// throw: the submission then fails alone.
using ProcessingStep = std::function<void(const Submission&)>;

// What cannot be stored is tried a few times, alone. Then whoever waits for it
// is told; one that was acknowledged is set apart in its journal's quarantine.
// While the store is away, what was acknowledged is to be worked again.
//
// Thread-safe.
class SubmissionProcessor final : public LoopProcessor {
 public:
  // Tries of one that throws, or that the store refuses.
  static constexpr int kTriesMax = 3;
  // Tries of one for which the store fails as if it were away, while it says
  // that it is there.
  static constexpr int kLoneTriesMax = 8;

  // `store`, `clock` and `metrics` must outlive the processor; `step` may be
  // empty.
  SubmissionProcessor(Store* store, ProcessingStep step, Clock* clock,
                      StageMetrics* metrics);

  // The batch must be of SubmissionTasks.
  StoreState Process(std::span<Task* const> batch) override;

 private:
  using Tasks = std::span<SubmissionTask* const>;

  // Whether the task is to be stored; what becomes of it is set where it is
  // not.
  bool Prepare(SubmissionTask* task) const;
  StoreState Save(Tasks tasks);
  // Gives the batch to the store and takes the submissions back.
  absl::Status TrySave(Tasks tasks, std::vector<Saved>* saved);
  StoreState SaveOneByOne(Tasks tasks);
  StoreState SetAway(Tasks tasks, const absl::Status& status);

  Store* const store_;
  const ProcessingStep step_;
  const bool decodes_;
  Clock* const clock_;
  StageMetrics* const metrics_;
};

}  // namespace sluice

#endif  // SLUICE_SERVER_SUBMISSION_PROCESSOR_H_
