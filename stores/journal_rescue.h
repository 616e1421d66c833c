// Copies what can be read of a journal's damaged file to a new journal.

#ifndef SLUICE_STORES_JOURNAL_RESCUE_H_
#define SLUICE_STORES_JOURNAL_RESCUE_H_

#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "stores/journal_state.h"

namespace sluice {

// Puts a new journal in the place of the file at `path`, which may be missing,
// cut, or no database at all. The new journal has every entry and every
// quarantined submission that can be read and is undamaged, and quarantines
// those that are damaged. Positions and sequences go on after those of `known`.
// The damaged files are kept: they get the names `<path>.damaged-<time>`,
// `<path>.damaged-<time>-wal` and `<path>.damaged-<time>.state`.
//
// After an error, or a crash, a second call finishes the work.
absl::Status RescueJournal(const std::string& path,
                           const KnownJournalState& known, absl::Time now);

// Removes what a rescue left that did not finish. For a journal that was opened
// undamaged: its file is newer than what was rescued.
void DropUnfinishedRescue(const std::string& path);

}  // namespace sluice

#endif  // SLUICE_STORES_JOURNAL_RESCUE_H_
