// The table of a journal's file that records discarded submissions: what was
// discarded, why, when and by whom. Records are never removed.

#ifndef SLUICE_STORES_JOURNAL_DISCARDED_H_
#define SLUICE_STORES_JOURNAL_DISCARDED_H_

#include "absl/status/status.h"
#include "stores/journal.h"
#include "stores/sqlite.h"

namespace sluice {

// SQL that creates the table if it is missing.
extern const char kDiscardedSchema[];

// Columns that ReadDiscarded needs, for a SELECT from `discarded`.
extern const char kDiscardedColumns[];
Discarded ReadDiscarded(const SqliteRun& row);

// Inserts a record, under the next number. Ignores `discarded.number`.
absl::Status InsertDiscarded(SqliteConnection& db, const Discarded& discarded);

}  // namespace sluice

#endif  // SLUICE_STORES_JOURNAL_DISCARDED_H_
