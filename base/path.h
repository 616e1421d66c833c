// Checks of paths that need no file system.

#ifndef SLUICE_BASE_PATH_H_
#define SLUICE_BASE_PATH_H_

#include <string>

namespace sluice {

// True if `path` can be the path of a file: it ends in a name, and not in that
// of a directory ("data/", ".", ".."). Does not look at the file system.
bool NamesAFile(const std::string& path);

}  // namespace sluice

#endif  // SLUICE_BASE_PATH_H_
