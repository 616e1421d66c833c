// Copies the readable entries of a journal's damaged file to a new journal.

#ifndef SLUICE_STORES_JOURNAL_RESCUE_H_
#define SLUICE_STORES_JOURNAL_RESCUE_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "stores/journal_state.h"

namespace sluice {

// Replaces the file at `path` by a new journal. The file may be missing, cut,
// or no database at all. The new journal has all entries and all quarantined
// submissions that can be read. Damaged entries and submissions are in
// quarantine. Positions and sequence numbers continue after those of `known`.
// `series` is as in JournalOptions.
// A file that was cut is first extended with zeros, so that SQLite can read the
// rest. The damaged files are kept, with the names `<path>.damaged-<time>`,
// `<path>.damaged-<time>-wal` and `<path>.damaged-<time>.state`.
//
// If the call fails or the process crashes, a second call completes the work.
absl::Status RescueJournal(const std::string& path,
                           const KnownJournalState& known,
                           std::optional<std::int64_t> series, absl::Time now);

// Removes the files of an incomplete rescue. Call DropUnfinishedRescue after
// the journal was opened: the journal is then newer than the copy.
void DropUnfinishedRescue(const std::string& path);

}  // namespace sluice

#endif  // SLUICE_STORES_JOURNAL_RESCUE_H_
