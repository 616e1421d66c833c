// Counts the entries that a killed server left in its journal. Reads a copy:
// opening the file itself would recover it, which the next server must do.

#ifndef SLUICE_TESTS_CRASH_JOURNAL_PROBE_H_
#define SLUICE_TESTS_CRASH_JOURNAL_PROBE_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"

namespace sluice {

struct JournalLeft {
  std::int64_t entries = 0;
  std::int64_t last_position = 0;  // position of the last entry, or 0
  std::int64_t old_entries = 0;  // entries with positions up to `old_position`
};

// Returns zeros if there is no journal, or a journal without tables. Overwrites
// the file `scratch`, and the files that SQLite creates beside it.
absl::StatusOr<JournalLeft> ProbeJournal(const std::string& path,
                                         const std::string& scratch,
                                         std::int64_t old_position);

}  // namespace sluice

#endif  // SLUICE_TESTS_CRASH_JOURNAL_PROBE_H_
