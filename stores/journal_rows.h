// The tables of a journal's file, and their rows: how rows are written, read
// and verified.
//
// Each row has a hash over its position and all its fields. The hash covers the
// content by the content's own SHA-256, so that a content is not hashed again
// when it is appended.

#ifndef SLUICE_STORES_JOURNAL_ROWS_H_
#define SLUICE_STORES_JOURNAL_ROWS_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "stores/journal.h"
#include "stores/sqlite.h"
#include "stores/store.h"

namespace sluice {

// The statements that create the tables of version kJournalVersion.
extern const char kJournalSchema[];

// --- Entries ---

// An entry as it was read. If `damage` is not empty, it says why the values are
// not those that were written; values that could not be read are empty.
struct EntryRow {
  JournalEntry entry;
  std::string damage;
};

// Columns of ReadEntry, for a SELECT from `entries`.
extern const char kEntryColumns[];
// The same for a table of version 1, whose rows have no hash.
extern const char kEntryColumnsOfVersion1[];

// The rows of version 1 have no row hash. Their contents are verified.
enum class RowVersion { kVersion1, kNewest };

// Reads the current row, with the columns above, and verifies it.
EntryRow ReadEntry(const SqliteRun& row, RowVersion version);

// Returns the hash of a row over its position, method and submission.
Sha256Digest RowHash(std::int64_t position, std::string_view method,
                     const ReceivedSubmission& submission);

// Inserts the entry with `statement`, which Prepare made of kInsertEntry.
// `state` is empty, or the encoded state after the commit.
extern const char kInsertEntry[];
absl::Status InsertEntry(SqliteStatement& statement, std::string_view method,
                         const ReceivedSubmission& submission,
                         std::int64_t position, const Sha256Digest& row_hash,
                         std::string_view state);

// --- Quarantine ---

// Columns of ReadQuarantined, for a SELECT from `quarantine`. The content comes
// after them.
extern const char kQuarantineColumns[];
// The same for a table of version 1, whose rows have no hash.
extern const char kQuarantineColumnsOfVersion1[];

// Reads the current row: the columns above, and a content or x''. Verifies the
// content's hash if `with_content`. A row that does not match its hash is
// `damaged`, and its `reason` says so.
Quarantined ReadQuarantined(const SqliteRun& row, bool with_content,
                            RowVersion version = RowVersion::kNewest);

// Inserts the submission into quarantine. Returns false if the same submission
// is there already, undamaged, or if another submission has its sequence.
// `damaged_at` is 0, or for a damaged submission a number that no other damaged
// submission has.
absl::StatusOr<bool> InsertQuarantined(SqliteConnection& db,
                                       const Quarantined& quarantined,
                                       std::int64_t damaged_at);

// Inserts a damaged entry into quarantine, with its damage as the reason. If
// its sequence is taken, or higher than `last_sequence`, the entry gets a
// number after kDamagedSequences.
inline constexpr std::int64_t kDamagedSequences = std::int64_t{1} << 62;
absl::Status QuarantineDamaged(SqliteConnection& db, EntryRow row,
                               std::int64_t last_sequence, absl::Time now);

// Inserts a submission that was in quarantine, and was damaged there.
absl::Status QuarantineAgainAsDamaged(SqliteConnection& db,
                                      Quarantined quarantined);

}  // namespace sluice

#endif  // SLUICE_STORES_JOURNAL_ROWS_H_
