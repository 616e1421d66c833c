// Compares the file of a journal with what its state file says of it, and
// checks its structure. Damage is DATA_LOSS, with a message that names what is
// missing. Nothing here changes a file.

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

// Returns DATA_LOSS, with `what` and the entries after `last_position` that
// were acknowledged.
absl::Status MissingEntries(const std::string& what,
                            const KnownJournalState& known,
                            std::int64_t last_position);

// Makes an error about a damaged file (DATA_LOSS, INTERNAL) name what was in
// the file. Returns other errors as they are.
absl::Status NamingEntries(const absl::Status& status,
                           const KnownJournalState& known);

// Checks, before the database is opened, that the file exists if entries are
// known.
absl::Status CheckFileExists(const std::string& path,
                             const KnownJournalState& known);

// Returns the state of the last commit in the file.
absl::StatusOr<JournalState> ReadJournalState(SqliteConnection& db,
                                              const KnownJournalState& known);

// Checks that the file is not behind the state file.
absl::Status CheckNotBehind(const JournalState& in_file,
                            const KnownJournalState& known);
// Checks that file and state file belong together: that the state file exists,
// is valid, and is of this file. Its state must not be ahead of the file's.
absl::Status CheckBelongTogether(SqliteConnection& db,
                                 const JournalState& in_file,
                                 const KnownJournalState& known);

// Checks the structure of the whole file. Values in rows are not checked.
absl::Status CheckStructure(SqliteConnection& db,
                            const KnownJournalState& known);
// Checks that the file has as many rows as its state says.
absl::Status CheckCounts(SqliteConnection& db, const JournalState& in_file,
                         const KnownJournalState& known);

// Returns the keys of all rows that can be reached, also in a damaged table, in
// ascending order.
std::vector<std::int64_t> ReachableKeys(SqliteConnection& db,
                                        const std::string& table,
                                        const std::string& key);

}  // namespace sluice

#endif  // SLUICE_STORES_JOURNAL_CHECK_H_
