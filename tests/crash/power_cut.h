// Makes a power cut of kill -9: takes back what a dead server wrote and did not
// sync, by the undo logs that lying_disk.cc has kept.

#ifndef SLUICE_TESTS_CRASH_POWER_CUT_H_
#define SLUICE_TESTS_CRASH_POWER_CUT_H_

#include <cstddef>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"

namespace sluice {

struct PowerCut {
  std::size_t writes = 0;  // that were not synced
  std::size_t undone = 0;  // of these; the rest had reached the disk
};

// Takes back what was written to the files in `data_dir` since their last
// syncs. A disk may write before it is told to: `kept` is asked for each file
// how many of so many writes, the first of them, had reached it. Removes
// SQLite's shared memory and the undo logs. Names take effect at once: a file
// that was created stays, empty, and one that was removed stays away.
absl::StatusOr<PowerCut> CutPower(
    const std::string& data_dir, const std::string& undo_dir,
    absl::FunctionRef<std::size_t(std::size_t writes)> kept);

}  // namespace sluice

#endif  // SLUICE_TESTS_CRASH_POWER_CUT_H_
