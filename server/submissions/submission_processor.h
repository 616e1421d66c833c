// Processes batches of submissions for workers: decodes each submission, and
// saves the batch in one transaction. If a submission causes an exception, or
// the store rejects it, only this submission fails.

#ifndef SLUICE_SERVER_SUBMISSIONS_SUBMISSION_PROCESSOR_H_
#define SLUICE_SERVER_SUBMISSIONS_SUBMISSION_PROCESSOR_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "base/clock.h"
#include "base/log_pace.h"
#include "pool/worker_pool.h"
#include "server/metrics/stage_metrics.h"
#include "server/submissions/new_numbers.h"
#include "server/submissions/submission_task.h"
#include "stores/store.h"

namespace sluice {

// A step that runs on each submission before it is stored. If it throws an
// exception, only this submission fails.
using ProcessingStep = std::function<void(const Submission&)>;

// If a submission cannot be stored, its caller is answered INTERNAL. An
// acknowledged submission is quarantined in its journal after a few tries
// instead. All submissions of a batch that must be quarantined are quarantined
// in one transaction, at the end of the batch. While the store is unavailable,
// acknowledged submissions return to the queue, and callers that wait are
// refused. After an unclear error (IsUnclear), an acknowledged submission is
// retried for at least kUnclearTime before it is quarantined. Meanwhile later
// submissions of its subject wait.
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
  // After an unclear error an acknowledged submission is retried after 1 s. The
  // delay doubles with each try, up to kUnclearDelayMax. The submission is
  // quarantined after at least kUnclearTriesMax failed tries over at least
  // kUnclearTime.
  static constexpr int kUnclearTriesMax = 8;
  static constexpr Duration kUnclearTime = std::chrono::minutes(1);
  static constexpr Duration kUnclearDelayMax = std::chrono::seconds(30);
  // If a submission cannot be quarantined, it stays in its queue and journal,
  // and is tried again after kQuarantineDelay. The delay doubles with each
  // failure, up to kQuarantineDelayMax.
  static constexpr Duration kQuarantineDelay = std::chrono::seconds(30);
  static constexpr Duration kQuarantineDelayMax = std::chrono::minutes(10);
  // If this many submissions of a batch fail with unclear errors before any
  // submission is stored, the store counts as unavailable.
  static constexpr std::size_t kUnclearInARow = 3;
  // Once the rows of the decoded submissions (Submission::answers_json) have
  // this many bytes, the submissions are saved before the rest of the batch is
  // decoded. A small content may have large rows, because each row repeats the
  // link id.
  static constexpr std::size_t kRowsBytesMax = std::size_t{64} << 20;

  // A submission whose sequence number belongs to another submission in the
  // store is saved again with a new number, at most this many times.
  static constexpr int kRenumberedMax = 3;

  // `step` may be empty. All other arguments must outlive the processor.
  SubmissionProcessor(Store* store, ProcessingStep step, Clock* clock,
                      StageMetrics* metrics, NewNumbers* numbers);

  // Processes a batch, whose tasks must be SubmissionTasks.
  StoreState Process(std::span<Task* const> batch) override;
  void HandBack(std::span<Task* const> tasks) override;

 private:
  // A task that cannot be stored and has no result yet.
  struct FailedTask {
    SubmissionTask* task;
    std::string error_id;  // see task_failure.h
    std::string reason;    // reason of the quarantine
    int tries;
    // Content of the task's submission, if the submission is not in the Batch.
    std::optional<std::string> content;
  };
  using FailedTasks = std::vector<FailedTask>;

  // Task::again_at of delayed tasks, by key.
  using DelayedKeys = absl::flat_hash_map<std::uint64_t, TimePoint>;

  // The parts of a batch share these members.
  struct Whole {
    FailedTasks failed;
    DelayedKeys delayed;
  };

  // Tasks, and the submissions of these tasks that will be stored: a batch, or
  // a part of it. Both spans have the same size.
  struct Batch {
    std::span<SubmissionTask* const> tasks;
    std::span<Submission> submissions;
    Whole* whole;

    std::size_t size() const { return tasks.size(); }
    Batch From(std::size_t first) const {
      return {tasks.subspan(first), submissions.subspan(first), whole};
    }
    Batch Only(std::size_t index) const {
      return {tasks.subspan(index, 1), submissions.subspan(index, 1), whole};
    }
  };

  // Moves the task's submission out, decodes it and runs the step. Returns
  // false if the task must not be stored, because it has its result or was
  // added to `failed`.
  bool Prepare(SubmissionTask* task, Submission* submission,
               FailedTasks* failed) const;
  // Sets the result of a task for which the store has an answer. A conflict of
  // an acknowledged submission that the store has not kept must be quarantined,
  // so it is added to `failed`.
  static void SetSaved(SubmissionTask* task, const Saved& saved,
                       FailedTasks* failed);
  // Saves the batch in one transaction, and sets the result of each task,
  // except failed tasks. If the store was unavailable for an earlier part
  // (`before` is kDown), the batch is not saved.
  StoreState Save(Batch batch, StoreState before);
  // Saves the batch in one transaction. If sequence numbers are taken, saves
  // their submissions again with new numbers, in one more transaction. If that
  // fails, returns the error, and the batch must be saved again as a whole.
  absl::Status TrySave(Batch batch, std::vector<Saved>* saved);
  // Saves the submissions in one transaction. Exceptions of the store become a
  // status.
  absl::Status SaveOnce(absl::Span<const Submission> batch,
                        absl::Span<Saved> saved);
  // Saves the submissions whose sequence numbers are taken. Replaces their
  // results.
  absl::Status SaveRenumbered(Batch batch, std::vector<Saved>* saved);
  // Ends the wait for the new number of a task, if it has one.
  void ReleaseNumber(const SubmissionTask& task);
  // Saves each submission in a separate transaction, and sets the results.
  StoreState SaveOneByOne(Batch batch);
  // Saves one submission. If the store rejects a promised submission, retries
  // up to kTriesMax tries in total.
  absl::Status SaveOne(Batch one, std::vector<Saved>* saved);
  // Adds the task to `failed`.
  static void FailForGood(SubmissionTask* task, const absl::Status& status,
                          int tries, FailedTasks* failed);
  // Sets the results of failed tasks. Quarantines the tasks that are in a
  // journal, in one transaction, and delays those that cannot be quarantined
  // now. Blocks.
  void EndFailed(FailedTasks failed);
  void DelayQuarantine(SubmissionTask* task) const;
  // Quarantines the tasks that are in a journal. Returns, for each task,
  // whether its entry was quarantined and the task has its result.
  std::vector<bool> Quarantine(const FailedTasks& failed);
  // Counts a failure of the store that concerns this submission alone. Returns
  // true if there were too many and the submission has its result.
  bool QuarantineLone(SubmissionTask* task, const absl::Status& status);
  // Sets the result of an acknowledged submission after an unclear error, or
  // adds it to `failed`. If the submission is retried, adds its key to
  // `delayed`.
  void SetUnclear(SubmissionTask* task, const absl::Status& status,
                  DelayedKeys* delayed, FailedTasks* failed);
  // Returns the result of QuarantineLone if the batch has one submission;
  // otherwise returns false.
  bool QuarantineIfLone(Batch batch, const absl::Status& status);
  // Sets the results of a batch for which the store is unavailable.
  StoreState DeferToRetry(Batch batch, const absl::Status& status);
  // Returns acknowledged submissions to the queue, and refuses callers that
  // wait. A submission whose key is in `delayed` is delayed until the time of
  // the key.
  void PutBack(Batch batch);

  Store* const store_;
  const ProcessingStep step_;
  const bool decodes_;
  Clock* const clock_;
  StageMetrics* const metrics_;
  LogPace log_pace_;
  LogPace renumbered_pace_;
  LogPace quarantined_pace_;
  LogPace not_quarantined_pace_;
  NewNumbers* const numbers_;
};

}  // namespace sluice

#endif  // SLUICE_SERVER_SUBMISSIONS_SUBMISSION_PROCESSOR_H_
