// Counts what a killed server left in its journal. Reads a copy: opening the
// file itself would recover it, which is the task of the next server.

#ifndef SLUICE_TESTS_CRASH_JOURNAL_PROBE_H_
#define SLUICE_TESTS_CRASH_JOURNAL_PROBE_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"

namespace sluice {

struct JournalLeft {
  std::int64_t entries = 0;
  std::int64_t last_position = 0;  // of the last entry; 0 if empty
  std::int64_t old_entries = 0;    // with positions up to `old_position`
};

// Returns zeros if there is no journal, or a journal without tables. The file
// `scratch`, and those that SQLite creates beside it, are overwritten.
absl::StatusOr<JournalLeft> ProbeJournal(const std::string& path,
                                         const std::string& scratch,
                                         std::int64_t old_position);

}  // namespace sluice

#endif  // SLUICE_TESTS_CRASH_JOURNAL_PROBE_H_
