// Makes admitted submissions durable before they are acknowledged, in the order
// of their admission. One thread appends all tasks that were added since its
// last append, so that one sync serves all of them (group commit).
//
// The life of an entry, as far as it concerns the writer:
//
//   WorkerPool::Arrive    the pool admits the task, and keeps it from workers
//      |
//     Add                 the task waits for the next append
//      |
//   Journal::Append ----- failed --> WorkerPool::CommitFailed, OnCommitFailed:
//      |                             the caller gets UNAVAILABLE
//   OnCommitted           the caller gets QUEUED
//      |
//   WorkerPool::Committed workers may take the task
//      |
//      |-- stored or a duplicate --> MarkDone: removed by a later Append, or by
//      |                             Journal::Forget after half a second
//      |-- cannot be stored -------> Quarantine: removed from the queue, and
//      |                             kept in the journal's quarantine
//      |-- neither, until the end -> stays in the journal, and is replayed at
//                                    the next start

#ifndef SLUICE_SERVER_SUBMISSIONS_JOURNAL_WRITER_H_
#define SLUICE_SERVER_SUBMISSIONS_JOURNAL_WRITER_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <thread>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/types/span.h"
#include "base/clock.h"
#include "base/log_pace.h"
#include "pool/worker_pool.h"
#include "server/metrics/journal_metrics.h"
#include "server/submissions/assigned_recorder.h"
#include "server/submissions/disk_reserve.h"
#include "server/submissions/new_numbers.h"
#include "server/submissions/number_reserve.h"
#include "stores/journal.h"

namespace sluice {

class SubmissionTask;

// Thread-safe.
class JournalWriter {
 public:
  // Objects that the writer uses, and that must outlive it.
  struct Uses {
    Journal* journal;
    DiskReserve* disk;
    NumberReserve* numbers;
    NewNumbers* new_numbers;
    AssignedRecorder* assigned;
    WorkerPool* pool;
    Clock* clock;
    JournalMetrics* metrics;
  };

  // Starts the thread.
  explicit JournalWriter(const Uses& uses);
  JournalWriter(const JournalWriter&) = delete;
  JournalWriter& operator=(const JournalWriter&) = delete;
  // Calls Join.
  ~JournalWriter();

  // Adds a task that the pool has admitted and keeps from its workers (stage
  // kCommitting). The writer's thread will call OnCommitted or OnCommitFailed.
  // The pool limits the number of waiting tasks. Does not block. Must not be
  // called after Join.
  void Add(std::shared_ptr<SubmissionTask> task);

  // Tells the journal that the store has the entry, so that the entry may be
  // forgotten. Must be called once for each entry. Does not block.
  void MarkDone(std::int64_t position);
  // Moves entries to the journal's quarantine (see Journal::Quarantine). An
  // entry whose sequence number another submission in quarantine has gets a new
  // number. Blocks.
  std::vector<absl::Status> Quarantine(
      absl::Span<const UnstorableEntry> entries);

  // Returns the reason why no submission of the study may be acknowledged now,
  // or nothing. Does not block.
  std::optional<TaskResult> RefusalOfPromise(std::string_view study_id) const;
  // Returns OK if the disk has enough free space and a reserved sequence number
  // is left. Does not block.
  absl::Status CheckReserves() const;

  // Commits the waiting tasks, forgets the done entries, and ends the thread.
  // The pool must be idle. Does nothing if called again.
  void Join();

 private:
  using Group = std::vector<std::shared_ptr<SubmissionTask>>;

  void Run();
  // Moves new tasks to `pending`. First waits a limited time for new tasks,
  // unless `ready` (number of pending tasks that can be appended) is above 0.
  // Sets `forget` if marked entries must be removed. Returns false once the
  // thread must end.
  bool Wait(Group* pending, std::size_t ready, bool* forget);
  // Sorts the tasks by sequence number. Returns how many tasks at the front can
  // be appended now. A task can be appended if every task that was admitted
  // earlier has been added.
  std::size_t Sort(Group* pending) const;
  // Appends the group to the journal, and passes the result to each task.
  void Commit(Group* group);
  // Appends the group, unless the disk has too little free space, or a sequence
  // number is not reserved.
  absl::StatusOr<std::int64_t> Append(
      const std::vector<NewJournalEntry>& group);
  // Quarantines, with new numbers, those of `entries` that were refused because
  // their numbers are taken. Replaces their `results`.
  void QuarantineRenumbered(absl::Span<const UnstorableEntry> entries,
                            std::vector<absl::Status>* results);
  // Returns the new number of an entry. Takes a number once for each entry,
  // because an entry that cannot be quarantined now is tried again.
  std::int64_t NewNumberOf(std::int64_t position);
  // Ends the wait for the new number of an entry, if it has one.
  void ReleaseNewNumber(std::int64_t position)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Measures the free space of the disk if the next measurement is due.
  void MeasureDisk();
  // Removes all entries that are marked as done from the journal.
  void Forget();

  Journal* const journal_;
  DiskReserve* const disk_;
  NumberReserve* const numbers_;
  NewNumbers* const new_numbers_;
  AssignedRecorder* const assigned_;
  WorkerPool* const pool_;
  Clock* const clock_;
  JournalMetrics* const metrics_;
  LogPace append_pace_;
  LogPace forget_pace_;

  absl::Mutex mutex_;
  absl::CondVar changed_;
  Group waiting_ ABSL_GUARDED_BY(mutex_);
  // True if entries were marked as done since the last append.
  bool marked_ ABSL_GUARDED_BY(mutex_) = false;
  bool joining_ ABSL_GUARDED_BY(mutex_) = false;
  // New numbers of entries that are not in quarantine yet, by position.
  absl::flat_hash_map<std::int64_t, std::int64_t> renumbered_
      ABSL_GUARDED_BY(mutex_);

  // Time of the next measurement of the disk. Used by the thread only.
  std::chrono::steady_clock::time_point measure_at_{};

  std::thread thread_;
};

}  // namespace sluice

#endif  // SLUICE_SERVER_SUBMISSIONS_JOURNAL_WRITER_H_
