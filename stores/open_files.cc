#include "stores/open_files.h"

#include <sys/stat.h>

#include <cerrno>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "stores/files.h"

namespace sluice {
namespace {

absl::Status Lost(const std::string& path, const char* how) {
  return absl::UnavailableError(absl::StrCat(
      path, " was ", how,
      " while the server runs, so commits could be lost. Stop the server with"
      " SIGTERM, put the right file in place, and start the server again"));
}

}  // namespace

absl::StatusOr<OpenFiles> OpenFiles::At(const std::vector<std::string>& paths) {
  OpenFiles files;
  for (const std::string& path : paths) {
    struct stat found {};
    if (stat(path.c_str(), &found) != 0) {
      return SystemError(errno, "cannot find", path);
    }
    files.files_.push_back({path, found.st_dev, found.st_ino});
  }
  return files;
}

absl::Status OpenFiles::Check() const {
  for (const File& file : files_) {
    struct stat found {};
    if (stat(file.path.c_str(), &found) != 0) {
      return errno == ENOENT ? Lost(file.path, "removed")
                             : SystemError(errno, "cannot find", file.path);
    }
    if (found.st_dev != file.device || found.st_ino != file.inode) {
      return Lost(file.path, "replaced");
    }
  }
  return absl::OkStatus();
}

}  // namespace sluice
