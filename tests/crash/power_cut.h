// Turns kill -9 into a power cut: undoes the writes that a dead server did not
// sync, using the undo logs of lying_disk.cc.

#ifndef SLUICE_TESTS_CRASH_POWER_CUT_H_
#define SLUICE_TESTS_CRASH_POWER_CUT_H_

#include <cstddef>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"

namespace sluice {

struct PowerCut {
  std::size_t writes = 0;  // number of writes that were not synced
  std::size_t undone = 0;  // undone writes; the others were on disk
};

// Undoes the writes to the files in `data_dir` since their last syncs. A disk
// may write before a sync: for each file, `kept` returns the number of writes,
// counted from the first, that had reached the disk. Removes SQLite's shared
// memory and the undo logs. Directory entries are durable at once: a created
// file stays (empty), a removed file stays removed.
absl::StatusOr<PowerCut> CutPower(
    const std::string& data_dir, const std::string& undo_dir,
    absl::FunctionRef<std::size_t(std::size_t writes)> kept);

}  // namespace sluice

#endif  // SLUICE_TESTS_CRASH_POWER_CUT_H_
