// What lying_disk.cc and power_cut.cc agree on. For each file of the data
// directory there is a file of the same name in the directory of undo logs:
// records, in the order of the writes since the last sync.

#ifndef SLUICE_TESTS_CRASH_UNDO_RECORD_H_
#define SLUICE_TESTS_CRASH_UNDO_RECORD_H_

#include <cstdint>

namespace sluice {

// Set for the server by the campaign, read by lying_disk.cc. The directories
// are absolute paths without links, by which files are known.
inline constexpr char kDiskDataVariable[] = "SLUICE_DISK_DATA";
inline constexpr char kDiskUndoVariable[] = "SLUICE_DISK_UNDO";
inline constexpr char kDiskLiesVariable[] = "SLUICE_DISK_LIES";  // if set

// Followed by the `length` bytes that stood at `offset`.
struct UndoRecord {
  std::uint64_t size_before = 0;  // of the file
  std::uint64_t offset = 0;
  std::uint64_t length = 0;
};

}  // namespace sluice

#endif  // SLUICE_TESTS_CRASH_UNDO_RECORD_H_
