// What a killed server has left in its journal. Looks at a copy: opening the
// file itself would do what the next server has to do.

#ifndef SLUICE_TESTS_CRASH_JOURNAL_PROBE_H_
#define SLUICE_TESTS_CRASH_JOURNAL_PROBE_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"

namespace sluice {

struct JournalLeft {
  std::int64_t entries = 0;
  std::int64_t last_position = 0;  // of these; 0 where there are none
  std::int64_t old_entries = 0;    // with positions up to the one asked for
};

// Nothing is left where there is no journal, or one without tables. `scratch`
// is a file that may be overwritten, with those that SQLite puts beside it.
absl::StatusOr<JournalLeft> ProbeJournal(const std::string& path,
                                         const std::string& scratch,
                                         std::int64_t old_position);

}  // namespace sluice

#endif  // SLUICE_TESTS_CRASH_JOURNAL_PROBE_H_
