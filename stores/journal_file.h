// The journal's SQLite file: its tables, and each change of them as one
// transaction. What is not in the file is in journal.h.

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

// Not thread-safe. Errors are as in Journal; after one the file is as before.
class JournalFile {
 public:
  static absl::StatusOr<std::unique_ptr<JournalFile>> Open(
      const std::string& path);

  // The highest position that an entry in this file has ever had; 0 where it
  // has had none.
  absl::StatusOr<std::int64_t> LastPosition();
  absl::StatusOr<std::int64_t> LastSequence();
  absl::StatusOr<std::int64_t> CountQuarantined();

  // Appends the entries at `first_position` and on, and removes entries of
  // `done` in the same transaction: not all of them where that would take long.
  // Returns the ranges in which none is left.
  absl::StatusOr<std::vector<PositionRange>> Append(
      absl::Span<const NewJournalEntry> entries, std::int64_t first_position,
      absl::Span<const PositionRange> done);
  // The same without appending. `last_position` is the highest that was given.
  absl::StatusOr<std::vector<PositionRange>> Remove(
      absl::Span<const PositionRange> done, std::int64_t last_position);

  // Entries after `after` up to `last`: as many as are to be in memory at once,
  // and at least one where there is one.
  absl::StatusOr<std::vector<JournalEntry>> Read(std::int64_t after,
                                                 std::int64_t last);

  // False: the submission was there already, and only the entry was removed.
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
  // Gives free pages back to the file system where that is much room for little
  // work. Nothing is lost where it fails.
  void Shrink();

 private:
  struct Statements {
    SqliteStatement insert;
    SqliteStatement read;
    SqliteStatement measure;
    SqliteStatement remove;
  };
  // How much one transaction removes at most.
  struct Budget {
    std::int64_t entries;
    std::int64_t bytes;
  };

  static absl::StatusOr<Statements> Prepare(SqliteConnection& db);

  JournalFile(SqliteConnection db, Statements statements)
      : db_(std::move(db)), statements_(std::move(statements)) {}

  // The parts of transactions.
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
