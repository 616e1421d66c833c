// Tables of a journal's file, and functions that write, read and verify their
// rows.
//
// Each row has a hash over its position and all its fields. For the content,
// the row hash contains the content's SHA-256, so that a content is not hashed
// again when it is appended.

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

// SQL that creates the tables of version 3.
extern const char kJournalSchema[];

// --- Entries ---

// An entry as it was read. `damage` describes the damage, and is empty if the
// entry is undamaged. Values that could not be read are empty.
struct EntryRow {
  JournalEntry entry;
  std::string damage;
};

// Columns that ReadEntry needs, for a SELECT from `entries`.
extern const char kEntryColumns[];
// Columns that ReadEntry needs, for a table of version 1.
extern const char kEntryColumnsOfVersion1[];

// Version of a table. Rows of version 1 have no row hash, so only their
// contents are verified.
enum class RowVersion { kVersion1, kNewest };

// Reads and verifies the current row of a SELECT with the columns above.
EntryRow ReadEntry(const SqliteRun& row, RowVersion version);

// Returns the hash of a row over its position, method and submission.
Sha256Digest RowHash(std::int64_t position, std::string_view method,
                     const ReceivedSubmission& submission);

// Inserts the entry. `statement` must be prepared from kInsertEntry. `state` is
// the encoded state after the commit, or empty.
extern const char kInsertEntry[];
absl::Status InsertEntry(SqliteStatement& statement, std::string_view method,
                         const ReceivedSubmission& submission,
                         std::int64_t position, const Sha256Digest& row_hash,
                         std::string_view state);

// --- Quarantine ---

// Columns that ReadQuarantined needs, for a SELECT from `quarantine`. The
// SELECT must add the content, or x'', as the last column.
extern const char kQuarantineColumns[];
// Columns that ReadQuarantined needs, for a table of version 1.
extern const char kQuarantineColumnsOfVersion1[];

// Reads and verifies the current row. The content is read and verified only if
// `with_content` is set. A row that does not match its hash has `damaged` set,
// and its `reason` describes the damage.
Quarantined ReadQuarantined(const SqliteRun& row, bool with_content,
                            RowVersion version = RowVersion::kNewest);

// Inserts the submission into quarantine. Returns false if the same submission
// is already in quarantine undamaged, or if another submission has its sequence
// number. `damaged_at` is 0 for an undamaged submission. For a damaged
// submission, `damaged_at` is a number that no other damaged submission has.
absl::StatusOr<bool> InsertQuarantined(SqliteConnection& db,
                                       const Quarantined& quarantined,
                                       std::int64_t damaged_at);

// Inserts a damaged entry into quarantine, with its damage as the reason. If
// its sequence number is taken, or higher than `last_sequence`, the entry gets
// a sequence number above kDamagedSequences.
inline constexpr std::int64_t kDamagedSequences = std::int64_t{1} << 62;
absl::Status QuarantineDamaged(SqliteConnection& db, EntryRow row,
                               std::int64_t last_sequence, absl::Time now);

// Inserts a submission that was damaged in quarantine into quarantine again.
absl::Status QuarantineAgainAsDamaged(SqliteConnection& db,
                                      const Quarantined& quarantined);

}  // namespace sluice

#endif  // SLUICE_STORES_JOURNAL_ROWS_H_
