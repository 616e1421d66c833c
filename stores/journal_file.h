// The SQLite file of a journal. Each change of the file is one transaction.
// journal_rows.h has the tables and rows, journal_state.h the state file, and
// journal.h the state in memory (done entries, locks).

#ifndef SLUICE_STORES_JOURNAL_FILE_H_
#define SLUICE_STORES_JOURNAL_FILE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "stores/journal.h"
#include "stores/journal_rows.h"
#include "stores/journal_state.h"
#include "stores/position_set.h"
#include "stores/quarantine_room.h"
#include "stores/sqlite.h"
#include "stores/sqlite_copy.h"
#include "stores/sqlite_file.h"

namespace sluice {

// Returns the path of the state file of the journal at `path`.
std::string JournalStatePath(const std::string& path);

// Opens the file of a journal, or creates it with its tables. Does not check
// the file for damage.
absl::StatusOr<SqliteConnection> CreateJournalFile(const std::string& path,
                                                   absl::Duration busy_timeout);

// Copies the journal at `from`, which may be open, to the new file `to`, and
// creates its state file.
absl::Status BackUpJournal(const std::string& from, const std::string& to,
                           const CopyPace& pace);

// Not thread-safe. Returns the errors of Journal. An error leaves the file
// unchanged.
class JournalFile {
 public:
  // Opens the file at `path` (absolute), or creates it. Migrates a file of an
  // older version. Returns DATA_LOSS if the file is damaged as a whole, or
  // behind its state file `known`. Returns DATA_LOSS also if the file and
  // `known` do not belong together, unless `adopt` is set. With `adopt` such a
  // file is accepted and its state file is written anew.
  static absl::StatusOr<std::unique_ptr<JournalFile>> Open(
      const std::string& path, const KnownJournalState& known, bool adopt);

  // Counts only numbers of `series` in JournalState::last_sequence from now on
  // (JournalOptions::series).
  void CountOnly(std::optional<std::int64_t> series) { series_ = series; }

  // The state after the last commit.
  const JournalState& state() const { return state_; }
  // Returns the number of damaged entries in quarantine.
  absl::StatusOr<std::int64_t> CountDamaged();
  absl::StatusOr<std::int64_t> CountDiscarded();
  // Adds all entries in quarantine to `room`.
  absl::Status MeasureQuarantine(QuarantineRoom& room);
  // Calls `visit` with each undamaged entry in quarantine, without its content.
  absl::Status ReadQuarantinedIds(
      absl::FunctionRef<void(const Quarantined& entry)> visit);

  // Appends the entries, the first at `first_position`. In the same
  // transaction, removes entries in the ranges `done`, up to a limit. Ranges
  // must ascend and not be adjacent. Returns the ranges whose entries are all
  // removed.
  absl::StatusOr<std::vector<PositionRange>> Append(
      absl::Span<const NewJournalEntry> entries, std::int64_t first_position,
      absl::Span<const PositionRange> done);
  // Removes entries in the ranges `done`, up to a limit, in one transaction.
  // Returns the ranges whose entries are all removed.
  absl::StatusOr<std::vector<PositionRange>> Remove(
      absl::Span<const PositionRange> done);

  // Returns entries with positions above `after` and up to `last`: at most
  // `max_entries`, and no more than are needed to reach `max_bytes`, but at
  // least one if there is one.
  absl::StatusOr<std::vector<EntryRow>> Read(std::int64_t after,
                                             std::int64_t last,
                                             std::size_t max_entries,
                                             std::size_t max_bytes);
  // Calls `visit` with the first `max` entries in the same range, without their
  // contents. Returns the position of the last of them, or `last` if no entry
  // follows.
  absl::StatusOr<std::int64_t> VisitReceipts(
      std::int64_t after, std::int64_t last, std::size_t max,
      absl::FunctionRef<void(const UnreadEntry& entry)> visit);

  // Moves entries into quarantine, in one transaction. For each entry, returns
  // what was added to the quarantine, or an error that concerns this entry
  // only. Calls `check_room` with each entry that exists. An entry for which
  // `check_room` returns an error stays where it is and gets that error.
  enum class Added {
    kNothing,  // this entry is in quarantine already and was only removed
    // The same submission is in quarantine under another sequence number. The
    // entry was removed and recorded as discarded.
    kRepetition,
    kEntry,
    kDamagedEntry,
  };
  using CheckRoom = absl::FunctionRef<absl::Status(const EntryRow& row)>;
  absl::StatusOr<std::vector<absl::StatusOr<Added>>> Quarantine(
      absl::Span<const UnstorableEntry> entries, absl::Time now,
      CheckRoom check_room);
  absl::StatusOr<JournalEntry> Release(std::int64_t sequence);
  // Sets the last sequence number of the state.
  absl::Status RaiseLastSequence(std::int64_t sequence);
  // Returns the removed entries. Ignores unknown sequence numbers.
  absl::StatusOr<std::vector<Quarantined>> RemoveQuarantined(
      absl::Span<const std::int64_t> sequences);
  // Returns the record of the discarded entry.
  absl::StatusOr<Discarded> Discard(std::int64_t sequence,
                                    std::string_view reason,
                                    std::string_view by, absl::Time now);
  absl::StatusOr<std::vector<Discarded>> ListDiscarded(std::int64_t after,
                                                       std::size_t max);
  absl::StatusOr<std::vector<std::optional<Discarded>>> FindDiscarded(
      std::string_view study_id, absl::Span<const std::string> submission_ids);
  absl::StatusOr<std::vector<Quarantined>> ListQuarantine(std::int64_t after,
                                                          std::size_t max,
                                                          bool with_content);
  absl::StatusOr<std::vector<std::optional<Quarantined>>> FindQuarantined(
      std::string_view study_id, absl::Span<const std::string> submission_ids);

  // Returns OK if no file of the journal was removed or replaced.
  absl::Status CheckFiles() { return files_.Check(db_); }
  // Result of the last write of the state file. After an error the entries are
  // durable all the same.
  const absl::Status& state_file_status() const { return state_file_status_; }
  // Probes the file (ProbeSqliteFile). If `writing` is set and the last write
  // of the state file failed, also tries to write the state file.
  absl::Status Probe(bool writing);
  // Gives free pages back to the file system if many pages are free and few are
  // used. A failure loses nothing.
  void Shrink();

 private:
  struct Statements {
    SqliteStatement insert;
    SqliteStatement read;
    SqliteStatement measure;
    SqliteStatement remove;
  };
  // Limits for the entries that one transaction removes.
  struct Budget {
    std::int64_t entries;
    std::int64_t bytes;
  };

  static absl::StatusOr<Statements> Prepare(SqliteConnection& db);

  JournalFile(SqliteConnection db, Statements statements,
              JournalStateFile state_file, SqliteFileWatch files,
              const JournalState& state)
      : db_(std::move(db)),
        statements_(std::move(statements)),
        state_file_(std::move(state_file)),
        files_(std::move(files)),
        state_(state) {}

  // Steps of a transaction. A transaction must have begun. Each step updates
  // `next`, the state after the transaction.
  absl::StatusOr<std::vector<PositionRange>> RemoveWithin(
      absl::Span<const PositionRange> ranges, Budget budget,
      JournalState& next);
  absl::StatusOr<PositionRange> PartWithin(PositionRange range, Budget& budget);
  absl::Status RemoveRange(PositionRange range, JournalState& next);
  absl::Status InsertLast(const NewJournalEntry& entry, JournalState& next,
                          bool with_state);
  absl::StatusOr<EntryRow> ReadAt(std::int64_t position);
  absl::StatusOr<Added> CopyIntoQuarantine(EntryRow row,
                                           const UnstorableEntry& entry,
                                           absl::Time now);
  absl::StatusOr<Added> RemoveRepetition(Quarantined entry, absl::Time now);
  // Returns the entry with this sequence number, with its content, and removes
  // it from the quarantine.
  absl::StatusOr<Quarantined> TakeOutOfQuarantine(std::int64_t sequence);

  // Returns the state from which the next transaction starts.
  JournalState NextState() const;
  // Begins a transaction that writes, unless a file was removed or replaced.
  absl::Status Begin(SqliteTransaction& transaction);
  // Commits the transaction. Then sets the state to `next`, in memory and in
  // the state file.
  absl::Status Commit(SqliteTransaction& transaction, const JournalState& next);

  SqliteConnection db_;
  Statements statements_;
  JournalStateFile state_file_;
  SqliteFileWatch files_;
  JournalState state_;
  std::optional<std::int64_t> series_;
  absl::Status state_file_status_;
  // Not OK after a commit to a file that was removed or replaced. All later
  // changes then fail.
  absl::Status lost_commit_;
};

}  // namespace sluice

#endif  // SLUICE_STORES_JOURNAL_FILE_H_
