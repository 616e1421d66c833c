// Functions of paths that do not look at the file system.

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

// The lock of a data file is the file of this name beside it.
inline constexpr char kLockSuffix[] = ".lock";

// Suffixes of the files that SQLite and the server create beside a data file,
// and read again. No other file may have such a name.
inline constexpr std::array<const char*, 4> kReservedSuffixes = {
    "-wal", "-shm", "-journal", kLockSuffix};

}  // namespace sluice

#endif  // SLUICE_BASE_PATH_H_
