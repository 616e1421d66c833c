// The format of undo logs, written by lying_disk.cc and read by power_cut.cc.
// Each file of the data directory has an undo log of the same name in the
// directory of undo logs: one record for each write since the last sync, in
// order.

#ifndef SLUICE_TESTS_CRASH_UNDO_RECORD_H_
#define SLUICE_TESTS_CRASH_UNDO_RECORD_H_

#include <cstdint>

namespace sluice {

// Environment variables of the server, set by the campaign and read by
// lying_disk.cc. The directories are absolute paths without symbolic links,
// because files are recognized by their paths.
inline constexpr char kDiskDataVariable[] = "SLUICE_DISK_DATA";
inline constexpr char kDiskUndoVariable[] = "SLUICE_DISK_UNDO";
// If this variable is set, syncs do nothing.
inline constexpr char kDiskLiesVariable[] = "SLUICE_DISK_LIES";

// A record of an undo log. It is followed by `length` bytes: the previous
// content at `offset`.
struct UndoRecord {
  std::uint64_t size_before = 0;  // size of the file before the write
  std::uint64_t offset = 0;
  std::uint64_t length = 0;
};

}  // namespace sluice

#endif  // SLUICE_TESTS_CRASH_UNDO_RECORD_H_
