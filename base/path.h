// Functions that normalize paths without access to the file system.

#ifndef SLUICE_BASE_PATH_H_
#define SLUICE_BASE_PATH_H_

#include <array>
#include <string>

namespace sluice {

// True if `path` can be the path of a file: its last part is not empty, "." or
// "..", and it has no zero byte. Does not look at the file system.
bool NamesAFile(const std::string& path);

// Returns `path` as an absolute path without ".", ".." and repeated slashes.
// Follows no symbolic links.
std::string NormalPath(const std::string& path);

// Suffixes of the lock file of a data file, of the state file of a journal, and
// of the sequence file of a store.
inline constexpr char kLockSuffix[] = ".lock";
inline constexpr char kStateSuffix[] = ".state";
inline constexpr char kSequenceSuffix[] = ".sequence";

// Suffixes of the files that SQLite and the server keep beside a data file. The
// name of a data file plus a suffix must not be the name of another data file.
inline constexpr std::array<const char*, 6> kReservedSuffixes = {
    "-wal", "-shm", "-journal", kLockSuffix, kStateSuffix, kSequenceSuffix};

}  // namespace sluice

#endif  // SLUICE_BASE_PATH_H_
