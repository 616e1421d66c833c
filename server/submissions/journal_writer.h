// Makes admitted submissions durable before they are acknowledged: one thread
// that appends to the journal all that has gathered since the last time, so
// that one sync serves them all (group commit).

#ifndef SLUICE_SERVER_SUBMISSIONS_JOURNAL_WRITER_H_
#define SLUICE_SERVER_SUBMISSIONS_JOURNAL_WRITER_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "base/clock.h"
#include "pool/worker_pool.h"
#include "server/metrics/journal_metrics.h"
#include "stores/journal.h"

namespace sluice {

class SubmissionTask;

// Thread-safe.
class JournalWriter {
 public:
  // Everything must outlive the writer.
  JournalWriter(Journal* journal, WorkerPool* pool, Clock* clock,
                JournalMetrics* metrics);
  JournalWriter(const JournalWriter&) = delete;
  JournalWriter& operator=(const JournalWriter&) = delete;
  // Joins.
  ~JournalWriter();

  // A task that the pool has admitted and holds from its workers. It is told
  // OnCommitted and given to them, or told OnCommitFailed. As many may wait as
  // the pool admits. Does not block.
  void Add(std::shared_ptr<SubmissionTask> task);

  // The store has the entry: it is forgotten soon. Does not block.
  void MarkDone(std::int64_t position);
  // Sets the entry apart for good; see Journal. Blocks.
  absl::Status Quarantine(std::int64_t position, std::string_view reason,
                          int tries);

  // Commits what is there, forgets what is done, and ends. The pool must be
  // idle.
  void Join();

 private:
  using Group = std::vector<std::shared_ptr<SubmissionTask>>;

  void Run();
  void Commit(Group* group);
  void Forget();

  Journal* const journal_;
  WorkerPool* const pool_;
  Clock* const clock_;
  JournalMetrics* const metrics_;

  absl::Mutex mutex_;
  absl::CondVar changed_;
  Group waiting_ ABSL_GUARDED_BY(mutex_);
  bool marked_ ABSL_GUARDED_BY(mutex_) = false;
  bool joining_ ABSL_GUARDED_BY(mutex_) = false;

  std::thread thread_;
};

}  // namespace sluice

#endif  // SLUICE_SERVER_SUBMISSIONS_JOURNAL_WRITER_H_
