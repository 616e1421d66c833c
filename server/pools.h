// The server's pools. Each has its own processor, metrics and workers, and
// possibly a journal.

#ifndef SLUICE_SERVER_POOLS_H_
#define SLUICE_SERVER_POOLS_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/types/span.h"
#include "base/clock.h"
#include "base/time.h"
#include "config/config.h"
#include "pool/worker_pool.h"
#include "prometheus/registry.h"
#include "server/journal_adoption.h"
#include "server/metrics/journal_metrics.h"
#include "server/metrics/stage_metrics.h"
#include "server/submissions/assigned_recorder.h"
#include "server/submissions/disk_reserve.h"
#include "server/submissions/journal_writer.h"
#include "server/submissions/new_numbers.h"
#include "server/submissions/number_reserve.h"
#include "server/submissions/recent_ids.h"
#include "server/submissions/submission_processor.h"
#include "stores/files.h"
#include "stores/journal.h"
#include "stores/store.h"

namespace sluice {

// State of the retries from quarantine. A retry moves a submission from
// quarantine to the queue. Only one submission is moved at a time. Otherwise,
// if callers fill the queue meanwhile, the queue could exceed its capacity by
// more than one submission.
struct QuarantineRetries {
  // Held while a submission is moved, also over I/O. Only threads of the admin
  // service wait for this lock.
  absl::Mutex one_at_a_time;
  // Sequence number of the submission being moved; 0 if there is none. For a
  // moment this submission is neither in quarantine nor in the queue.
  std::atomic<std::int64_t> sequence{0};
};

// Members are in the order of their construction: each may use the members
// above.
struct ServerPool {
  // True for the pool of GetReceipts, whose tasks are lookups, not submissions.
  bool answers_lookups = false;
  std::unique_ptr<Journal> journal;  // null if the queue is in memory
  std::unique_ptr<StageMetrics> stage_metrics;  // null for the pool of lookups
  std::unique_ptr<JournalMetrics> journal_metrics;  // null without a journal
  std::unique_ptr<DiskReserve> disk;                // null without a journal
  std::unique_ptr<Processor> processor;
  std::unique_ptr<WorkerPool> workers;
  std::unique_ptr<JournalWriter> journal_writer;  // null without a journal
  std::unique_ptr<QuarantineRetries> retries =
      std::make_unique<QuarantineRetries>();

  // Sets the metrics of the quarantine. The pool must have a journal.
  void UpdateQuarantineMetrics() const {
    journal_metrics->SetQuarantined(journal->quarantined(),
                                    journal->quarantined_bytes(),
                                    journal->damaged());
  }
};

// Thread-safe, except where a member says otherwise.
class Pools {
 public:
  // Objects that the pools use, and that must outlive the pools.
  struct Uses {
    Store* store;
    Clock* clock;
    RecentIds* recent;
    prometheus::Registry* registry;
    bool accept_damage = false;  // see JournalOptions
    // Paths of journals to adopt (journal_adoption.h).
    std::vector<std::string> adopt_journals = {};
    // AdoptionOptions::copied, for tests.
    std::function<absl::Status()> adoption_copied = {};
    // Returns the free bytes of the disk of a file.
    std::function<absl::StatusOr<std::size_t>(const std::string& path)>
        free_disk = FreeDiskBytes;
  };

  // Opens the journals, compares them with the journals that the store knows
  // (journal_check_in.h), adopts journals if requested, finds the last
  // sequence number that was assigned, and starts the workers. `step` may be
  // empty. If a journal caused an error, the error names the key of the
  // configuration.
  static absl::StatusOr<std::unique_ptr<Pools>> Start(
      const Config& config, const ProcessingStep& step, const Uses& uses);

  // Returns the pools by name. The set of pools never changes.
  const std::map<std::string, ServerPool>& by_name() const { return by_name_; }
  const ServerPool& at(const std::string& name) const {
    return by_name_.at(name);
  }

  // Gives each pool the limits and the numbers of workers in `config`, which
  // has the same pools. Must not be called by two threads at once.
  void Resize(const Config& config);

  std::map<std::string, PoolSnapshot> Snapshots() const;

  // Returns the sequence number that was assigned last.
  std::int64_t last_sequence() const { return sequence_; }
  // Returns the sequence numbers of all submissions that are admitted and not
  // completed, are not read from a journal yet, or are being moved out of
  // quarantine, and the new numbers of submissions that are in work. Blocks.
  absl::StatusOr<std::vector<std::int64_t>> PendingSequences() const;

  // Refuses new tasks and ends parked ones. Queued tasks are processed until
  // `until`.
  void Close(TimePoint until);
  // Waits until all pools are empty, at most until `deadline`. Returns false if
  // a task is still in work.
  bool AwaitIdle(TimePoint deadline);
  // Joins all workers and journal writers. Waits for batches in work. May be
  // called again, but not by two threads at once.
  void Join();
  // Closes the files, after Join. Not thread-safe.
  void CloseJournals();

 private:
  Pools() = default;

  // The steps of Start, in order. `series` is the series of this server.
  absl::Status OpenJournals(const Config& config, std::int64_t series,
                            const Uses& uses);
  // Raises sequence_ to the numbers that are lost with a journal.
  absl::Status CheckIn(const Config& config, std::int64_t series,
                       absl::Span<const AdoptedJournal> adopted,
                       const Uses& uses);
  absl::Status Adopt(const Config& config, std::int64_t series,
                     const AdoptedJournal& adopted, const Uses& uses);
  // Raises sequence_ to the highest number that the store or a journal knows.
  absl::Status FindLastSequence(std::int64_t series,
                                std::int64_t last_of_store);
  absl::Status ReserveNumbers(const Uses& uses);
  void StartPool(const Config& config, const std::string& name,
                 const ProcessingStep& step, const Uses& uses);

  std::atomic<bool> closing_{false};
  // The last sequence number that was assigned to a submission.
  std::atomic<std::int64_t> sequence_{0};
  NewNumbers new_numbers_{&sequence_};
  std::unique_ptr<NumberReserve> number_reserve_;
  std::unique_ptr<AssignedRecorder> assigned_recorder_;
  std::map<std::string, ServerPool> by_name_;
  // Sequence numbers for lookups, which must not use up the numbers of
  // submissions.
  std::atomic<std::int64_t> lookup_sequence_{0};
};

}  // namespace sluice

#endif  // SLUICE_SERVER_POOLS_H_
