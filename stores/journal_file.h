// The SQLite file of a journal: its tables, and each change of them as one
// transaction. journal.h has the state in memory (done entries, locks).

#ifndef SLUICE_STORES_JOURNAL_FILE_H_
#define SLUICE_STORES_JOURNAL_FILE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "stores/journal.h"
#include "stores/position_set.h"
#include "stores/sqlite.h"

namespace sluice {

// Not thread-safe. Returns the errors of Journal. An error leaves the file
// unchanged.
class JournalFile {
 public:
  static absl::StatusOr<std::unique_ptr<JournalFile>> Open(
      const std::string& path);

  // Returns the highest position that was ever assigned in this file, or 0.
  absl::StatusOr<std::int64_t> LastPosition();
  absl::StatusOr<std::int64_t> LastSequence();
  absl::StatusOr<std::int64_t> CountQuarantined();

  // Appends the entries, the first at `first_position`. In the same
  // transaction, removes entries in the ranges `done`, up to a limit. Ranges
  // must ascend and not be adjacent. Returns the ranges whose entries are all
  // removed.
  absl::StatusOr<std::vector<PositionRange>> Append(
      absl::Span<const NewJournalEntry> entries, std::int64_t first_position,
      absl::Span<const PositionRange> done);
  // Removes entries as Append does. `last_position` is the highest position
  // assigned so far.
  absl::StatusOr<std::vector<PositionRange>> Remove(
      absl::Span<const PositionRange> done, std::int64_t last_position);

  // Returns entries with positions above `after` and up to `last`: as many as
  // one part of a replay may hold, but at least one if there is one.
  absl::StatusOr<std::vector<JournalEntry>> Read(std::int64_t after,
                                                 std::int64_t last);

  // Moves an entry into quarantine. Returns false if the submission was in
  // quarantine already, so that only the entry was removed.
  absl::StatusOr<bool> Quarantine(std::int64_t position,
                                  std::string_view reason, int tries,
                                  absl::Time now, std::int64_t last_position);
  absl::StatusOr<JournalEntry> Release(std::int64_t sequence,
                                       std::int64_t position);
  absl::StatusOr<std::vector<Quarantined>> ListQuarantine(std::int64_t after,
                                                          std::size_t max,
                                                          bool with_content);
  absl::StatusOr<std::vector<std::optional<Quarantined>>> FindQuarantined(
      std::string_view study_id, absl::Span<const std::string> submission_ids);

  // See ProbeSqliteFile.
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

  JournalFile(SqliteConnection db, Statements statements)
      : db_(std::move(db)), statements_(std::move(statements)) {}

  // Steps of a transaction, which must have begun.
  absl::Status Insert(const NewJournalEntry& entry, std::int64_t position);
  absl::StatusOr<std::vector<PositionRange>> RemoveWithin(
      absl::Span<const PositionRange> ranges, Budget budget);
  absl::StatusOr<PositionRange> PartWithin(PositionRange range, Budget& budget);
  absl::Status RemoveRange(PositionRange range);
  absl::Status RememberPosition(std::int64_t position);
  absl::StatusOr<bool> CopyIntoQuarantine(std::int64_t position,
                                          std::string_view reason, int tries,
                                          absl::Time now);
  absl::Status IsInQuarantine(std::int64_t position);
  absl::Status CopyOutOfQuarantine(std::int64_t sequence,
                                   std::int64_t position);

  SqliteConnection db_;
  Statements statements_;
};

}  // namespace sluice

#endif  // SLUICE_STORES_JOURNAL_FILE_H_
