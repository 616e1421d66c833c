// A queue on disk: what it took survives kill -9 and power loss. It holds what
// was acknowledged before the store had it, and keeps apart what the store will
// not take (quarantine).
//
// A SQLite file with an append-only table, written ahead and synced at every
// commit. Entries are appended in groups, one sync for each group, and
// forgotten by ranges of their positions.

#ifndef SLUICE_STORES_JOURNAL_H_
#define SLUICE_STORES_JOURNAL_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "stores/files.h"
#include "stores/position_set.h"
#include "stores/store.h"

namespace sluice {

class JournalFile;

// Kept in the file as `PRAGMA user_version`, and "SluJ" as its application_id.
inline constexpr std::int64_t kJournalVersion = 1;
inline constexpr std::int64_t kJournalApplicationId = 0x536c754a;

struct JournalEntry {
  // Order in the journal, from 1, without gaps as long as it is open.
  std::int64_t position = 0;
  // Name of the RPC that brought it, e.g. "ImportPatients".
  std::string method;
  // Its times are to the microsecond.
  ReceivedSubmission submission;
};

// One to be appended; of its owner.
struct NewJournalEntry {
  std::string_view method;
  const ReceivedSubmission* submission;
};

struct Quarantined {
  std::string method;
  ReceivedSubmission submission;
  std::string reason;  // no patient data
  int tries = 0;
  absl::Time quarantined_at;
};

// Thread-safe. Calls block, for a commit of another caller as well.
class Journal {
 public:
  // What is in quarantine at most; Quarantine fails beyond it.
  static constexpr std::size_t kQuarantineMax = 100'000;

  Journal(const Journal&) = delete;
  Journal& operator=(const Journal&) = delete;
  ~Journal();

  // Creates the file and its directory where they are missing. The journal has
  // the file to itself, by a lock on `<path>.lock`. FAILED_PRECONDITION where
  // another process has it, or it is of a version that this program does not
  // know, or of another program: then it is left as it was; DATA_LOSS where it
  // is no database; UNAVAILABLE where it cannot be read or written.
  static absl::StatusOr<std::unique_ptr<Journal>> Open(const std::string& path);

  // Calls `visit` with every entry that is in the journal now and not
  // forgotten, in their order, holding no lock. DATA_LOSS at one that is
  // malformed.
  absl::Status Replay(absl::FunctionRef<void(JournalEntry entry)> visit);

  // The highest sequence that is in the file, in quarantine included; 0 where
  // there is none.
  absl::StatusOr<std::int64_t> LastSequence();

  // Takes the entries, and returns the position of the first, which the others
  // follow. OK: all are durable. An error (UNAVAILABLE: disk full, failed
  // sync): none is in the journal, nor will be after a kill, and a later Append
  // may succeed without reopening. After a failed sync, only a power cut that
  // comes before the next success may bring them back: the disk has then not
  // said what it has.
  absl::StatusOr<std::int64_t> Append(
      absl::Span<const NewJournalEntry> entries);

  // The store has the entry: it is forgotten by one of the next Appends, each
  // of which forgets a limited number, or by Forget. Not durable before that:
  // after a crash it is replayed. Does not block.
  void MarkDone(std::int64_t position);
  // Forgets what is marked, in as many commits as it takes; none where nothing
  // is. A file that is nearly empty then gives its room back to the disk.
  absl::Status Forget();

  // Moves an entry into quarantine. RESOURCE_EXHAUSTED where that is full,
  // UNAVAILABLE as in Append: then the entry stays where it was. Where the same
  // submission is there already, with the same kind and content, the entry is
  // forgotten. NOT_FOUND where no entry has that position.
  absl::Status Quarantine(std::int64_t position, std::string_view reason,
                          int tries);
  // Moves it out again, to the end of the journal, and returns its entry.
  // NOT_FOUND where nothing in quarantine has that sequence.
  absl::StatusOr<JournalEntry> Release(std::int64_t sequence);

  // Of the quarantine, in the order of the sequence: at most `max` after the
  // sequence `after`. Contents are left out unless `with_content`.
  absl::StatusOr<std::vector<Quarantined>> ListQuarantine(std::int64_t after,
                                                          std::size_t max,
                                                          bool with_content);
  // By id, the first that came, without its content; nothing for one that is
  // not in quarantine.
  absl::StatusOr<std::vector<std::optional<Quarantined>>> FindQuarantined(
      std::string_view study_id, absl::Span<const std::string> submission_ids);

  // Does not block.
  std::size_t quarantined() const;

  // Whether it could take entries now. After a failed Append it tries to write.
  // It does not wait for a call in progress.
  absl::Status Check();

 private:
  Journal(FileLock lock, std::unique_ptr<JournalFile> file,
          std::int64_t last_position, std::size_t quarantined);

  absl::Status ForgetUpTo(std::int64_t last, bool& more)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(file_mutex_);

  std::int64_t last_position() const;
  std::vector<PositionRange> FirstDone() const;
  void Forgotten(const std::vector<PositionRange>& ranges);
  absl::Status last_write() const;
  // Keep for Check how a write went, and return it. A failure that is of the
  // entry alone is not kept.
  absl::Status Wrote(absl::Status status);
  absl::Status Failed(const absl::Status& status);

  // Constant after construction. The last to go.
  const FileLock lock_;

  absl::Mutex file_mutex_;
  const std::unique_ptr<JournalFile> file_ ABSL_PT_GUARDED_BY(file_mutex_);

  // Held for a moment only. What is in here is changed once the file is.
  mutable absl::Mutex state_mutex_ ABSL_ACQUIRED_AFTER(file_mutex_);
  std::int64_t last_position_ ABSL_GUARDED_BY(state_mutex_);
  PositionSet done_ ABSL_GUARDED_BY(state_mutex_);
  std::size_t quarantined_ ABSL_GUARDED_BY(state_mutex_);
  absl::Status last_write_ ABSL_GUARDED_BY(state_mutex_);
};

}  // namespace sluice

#endif  // SLUICE_STORES_JOURNAL_H_
