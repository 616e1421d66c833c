// What workers do with submissions: decode, and put the batch in the store,
// each behind a wall, so that one that throws takes nothing with it.

#ifndef SLUICE_SERVER_SUBMISSIONS_SUBMISSION_PROCESSOR_H_
#define SLUICE_SERVER_SUBMISSIONS_SUBMISSION_PROCESSOR_H_

#include <cstddef>
#include <functional>
#include <span>
#include <vector>

#include "base/clock.h"
#include "pool/worker_pool.h"
#include "server/metrics/stage_metrics.h"
#include "server/submissions/submission_task.h"
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
class SubmissionProcessor final : public Processor {
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
  void HandBack(std::span<Task* const> tasks) override;

 private:
  // What is to be stored, each with its task.
  struct Batch {
    std::span<SubmissionTask* const> tasks;
    std::span<Submission> submissions;

    std::size_t size() const { return tasks.size(); }
    Batch From(std::size_t first) const {
      return {tasks.subspan(first), submissions.subspan(first)};
    }
    Batch Only(std::size_t one) const {
      return {tasks.subspan(one, 1), submissions.subspan(one, 1)};
    }
  };

  // Makes it the task's submission, ready to be stored. False where that is not
  // to be stored: then what becomes of it is set.
  bool Prepare(SubmissionTask* task, Submission* submission) const;
  StoreState Save(Batch batch);
  absl::Status TrySave(Batch batch, std::vector<Saved>* saved);
  StoreState SaveOneByOne(Batch batch);
  bool SetApart(SubmissionTask* task, const absl::Status& status);
  StoreState SetAway(Batch batch, const absl::Status& status);

  Store* const store_;
  const ProcessingStep step_;
  const bool decodes_;
  Clock* const clock_;
  StageMetrics* const metrics_;
};

}  // namespace sluice

#endif  // SLUICE_SERVER_SUBMISSIONS_SUBMISSION_PROCESSOR_H_
