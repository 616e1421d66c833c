// Checks of paths that need no file system.

#ifndef SLUICE_BASE_PATH_H_
#define SLUICE_BASE_PATH_H_

#include <string>

namespace sluice {

// True if `path` can be the path of a file: its last part is not empty, "." or
// "..", and it has no zero byte. Does not look at the file system.
bool NamesAFile(const std::string& path);

}  // namespace sluice

#endif  // SLUICE_BASE_PATH_H_
