// Checks of a journal's file: its structure, and whether it agrees with its
// state file. Damage is reported as DATA_LOSS, with a message that names the
// missing entries. No check changes a file.

#ifndef SLUICE_STORES_JOURNAL_CHECK_H_
#define SLUICE_STORES_JOURNAL_CHECK_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "stores/journal_state.h"
#include "stores/sqlite.h"

namespace sluice {

// Returns DATA_LOSS with the text `what` and the positions of the acknowledged
// entries after `last_position`.
absl::Status MissingEntries(const std::string& what,
                            const KnownJournalState& known,
                            std::int64_t last_position);

// Adds the entries that were in the file to an error about a damaged file
// (DATA_LOSS, INTERNAL). Returns other errors unchanged.
absl::Status NamingEntries(const absl::Status& status,
                           const KnownJournalState& known);

// Checks that the file exists and is not empty if the state file knows entries.
// Call CheckFileExists before the database is opened.
absl::Status CheckFileExists(const std::string& path,
                             const KnownJournalState& known);

// Returns the state of the last commit in the file.
absl::StatusOr<JournalState> ReadJournalState(SqliteConnection& db,
                                              const KnownJournalState& known);

// Checks that the last position of the file is not below the last position of
// its state file.
absl::Status CheckNotBehind(const JournalState& in_file,
                            const KnownJournalState& known);
// Checks that the file and its state file belong together: the state file
// exists, is valid, and is of this journal. CheckNotBehind must have returned
// OK.
absl::Status CheckBelongTogether(SqliteConnection& db,
                                 const JournalState& in_file,
                                 const KnownJournalState& known);

// Checks the structure of the whole file, but not the values in rows.
absl::Status CheckStructure(SqliteConnection& db,
                            const KnownJournalState& known);
// Checks that the file has as many entries and quarantined submissions as its
// state says.
absl::Status CheckCounts(SqliteConnection& db, const JournalState& in_file,
                         const KnownJournalState& known);

// Returns the keys of all rows that can be read, in ascending order. The table
// may be damaged.
std::vector<std::int64_t> ReachableKeys(SqliteConnection& db,
                                        const std::string& table,
                                        const std::string& key);

}  // namespace sluice

#endif  // SLUICE_STORES_JOURNAL_CHECK_H_
