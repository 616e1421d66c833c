// Processes batches of submissions for workers: decodes each submission, and
// saves the batch in one transaction. If a submission causes an exception, or
// the store rejects it, only this submission fails.

#ifndef SLUICE_SERVER_SUBMISSIONS_SUBMISSION_PROCESSOR_H_
#define SLUICE_SERVER_SUBMISSIONS_SUBMISSION_PROCESSOR_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "base/clock.h"
#include "pool/worker_pool.h"
#include "server/metrics/stage_metrics.h"
#include "server/submissions/submission_task.h"
#include "stores/store.h"

namespace sluice {

// A step that runs on each submission before it is stored. If it throws an
// exception, only this submission fails.
using ProcessingStep = std::function<void(const Submission&)>;

// A submission that cannot be stored fails: its caller is told, or, if it was
// acknowledged, it is quarantined in its journal after a few tries. While the
// store is unavailable, acknowledged submissions are worked again later, and
// callers that wait are refused. If it is not clear whether the submission or
// the store is at fault, an acknowledged submission is tried again for a time
// first, and its subject's later submissions wait for it.
//
// Thread-safe.
class SubmissionProcessor final : public Processor {
 public:
  // Number of tries for an acknowledged submission whose processing throws an
  // exception, or that the store rejects.
  static constexpr int kTriesMax = 3;
  // Number of tries for an acknowledged submission that the store fails to save
  // with a transient error, although Store::Check returns OK.
  static constexpr int kLoneTriesMax = 8;
  // An acknowledged submission for which the store fails with an error that is
  // not clear (IsUnclear) is tried again after 1 s, then twice as late each
  // time, up to kUnclearDelayMax. It is quarantined if at least
  // kUnclearTriesMax tries failed, over at least kUnclearTime.
  static constexpr int kUnclearTriesMax = 8;
  static constexpr Duration kUnclearTime = std::chrono::minutes(1);
  static constexpr Duration kUnclearDelayMax = std::chrono::seconds(30);
  // If so many submissions in a row fail so, and none is stored, the store is
  // taken for unavailable.
  static constexpr std::size_t kUnclearInARow = 3;

  // `store`, `clock` and `metrics` must outlive the processor; `step` may be
  // empty.
  SubmissionProcessor(Store* store, ProcessingStep step, Clock* clock,
                      StageMetrics* metrics);

  // Processes a batch, whose tasks must be SubmissionTasks.
  StoreState Process(std::span<Task* const> batch) override;
  void HandBack(std::span<Task* const> tasks) override;

 private:
  // Tasks, and the submissions of these tasks that will be stored. Both spans
  // have the same size.
  struct Batch {
    std::span<SubmissionTask* const> tasks;
    std::span<Submission> submissions;

    std::size_t size() const { return tasks.size(); }
    Batch From(std::size_t first) const {
      return {tasks.subspan(first), submissions.subspan(first)};
    }
    Batch Only(std::size_t index) const {
      return {tasks.subspan(index, 1), submissions.subspan(index, 1)};
    }
  };

  // Moves the task's submission out, decodes it and runs the step. Returns
  // false if the task already has its result and must not be stored.
  bool Prepare(SubmissionTask* task, Submission* submission) const;
  // Saves the batch in one transaction, and sets the result of each task.
  StoreState Save(Batch batch);
  // Saves the batch in one transaction. Exceptions of the store become a
  // status.
  absl::Status TrySave(Batch batch, std::vector<Saved>* saved);
  // Saves each submission in a separate transaction, and sets the results.
  StoreState SaveOneByOne(Batch batch);
  // Saves a submission. After an error that blames the submission, tries again
  // if it is promised.
  absl::Status SaveOne(Batch one, std::vector<Saved>* saved);
  void FailForGood(SubmissionTask* task, const absl::Status& status, int tries);
  // Returns true if the store fails for this submission alone, again and again,
  // and the submission has been quarantined.
  bool QuarantineLone(SubmissionTask* task, const absl::Status& status);
  // Times before which tasks of a key are not to be worked, by key.
  using DelayedKeys = absl::flat_hash_map<std::uint64_t, TimePoint>;
  // Sets the result of an acknowledged submission that failed with an error
  // that is not clear. If it is to be tried again, delays its key.
  void SetUnclear(SubmissionTask* task, const absl::Status& status,
                  DelayedKeys* delayed);
  // QuarantineLone, if the batch has one submission; otherwise false.
  bool QuarantineIfLone(Batch batch, const absl::Status& status);
  // Sets the results of a batch for which the store is unavailable.
  StoreState DeferToRetry(Batch batch, const absl::Status& status);
  // Acknowledged submissions are worked again later, those of delayed keys not
  // before their time. Callers that wait are refused.
  void PutBack(Batch batch, const DelayedKeys& delayed);

  Store* const store_;
  const ProcessingStep step_;
  const bool decodes_;
  Clock* const clock_;
  StageMetrics* const metrics_;
};

}  // namespace sluice

#endif  // SLUICE_SERVER_SUBMISSIONS_SUBMISSION_PROCESSOR_H_
