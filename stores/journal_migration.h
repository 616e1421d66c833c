// Steps that migrate the file of a journal from an older version to
// kJournalVersion.

#ifndef SLUICE_STORES_JOURNAL_MIGRATION_H_
#define SLUICE_STORES_JOURNAL_MIGRATION_H_

#include <vector>

#include "absl/status/status.h"
#include "stores/journal_state.h"
#include "stores/migration.h"
#include "stores/sqlite.h"

namespace sluice {

// Returns the steps. They use `db`, which must outlive them.
//   1 to 2  renames the tables, and creates the tables of version 3
//   2 to 3  moves all rows, a limited number in each transaction, and adds the
//           row hashes. Rows whose content does not match its SHA-256 are
//           quarantined as damaged.
//   3 to 4  adds the table of discarded submissions
std::vector<MigrationStep> JournalMigration(SqliteConnection& db);

// Replaces the state in `journal_state`. A transaction must have begun.
absl::Status WriteJournalState(SqliteConnection& db, const JournalState& state);
// Inserts the first state of a journal.
absl::Status InsertJournalState(SqliteConnection& db,
                                const JournalState& state);

}  // namespace sluice

#endif  // SLUICE_STORES_JOURNAL_MIGRATION_H_
