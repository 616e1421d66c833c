#include "stores/files.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"

namespace sluice {

absl::Status SystemError(int error, const char* doing,
                         const std::filesystem::path& path) {
  return absl::UnavailableError(absl::StrCat(
      doing, " ", path.string(), ": ", std::generic_category().message(error)));
}

absl::Status SyncDirectory(const std::filesystem::path& directory) {
  const int descriptor =
      open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) return SystemError(errno, "cannot open", directory);
  const int error = fsync(descriptor) == 0 ? 0 : errno;
  close(descriptor);
  return error == 0 ? absl::OkStatus()
                    : SystemError(error, "cannot sync", directory);
}

absl::Status CreateDirectories(const std::filesystem::path& directory) {
  std::error_code error;
  if (directory.empty() || std::filesystem::is_directory(directory, error)) {
    return absl::OkStatus();
  }
  const std::filesystem::path parent = directory.parent_path();
  if (absl::Status above = CreateDirectories(parent); !above.ok()) return above;
  std::filesystem::create_directory(directory, error);
  if (error) return SystemError(error.value(), "cannot create", directory);
  return SyncDirectory(parent.empty() ? "." : parent);
}

absl::StatusOr<FileLock> FileLock::Acquire(const std::filesystem::path& path) {
  const int descriptor =
      open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, S_IRUSR | S_IWUSR);
  if (descriptor < 0) return SystemError(errno, "cannot open", path);
  FileLock lock(descriptor);
  if (flock(descriptor, LOCK_EX | LOCK_NB) == 0) return lock;
  if (errno != EWOULDBLOCK) return SystemError(errno, "cannot lock", path);
  return absl::FailedPreconditionError(
      absl::StrCat("another process holds the lock ", path.string()));
}

FileLock::~FileLock() {
  for (const int descriptor : descriptors_) close(descriptor);
}

void FileLock::Add(FileLock other) {
  descriptors_.insert(descriptors_.end(), other.descriptors_.begin(),
                      other.descriptors_.end());
  other.descriptors_.clear();
}

absl::StatusOr<std::size_t> FreeDiskBytes(const std::string& path) {
  struct statvfs disk;
  if (statvfs(path.c_str(), &disk) != 0) {
    return SystemError(errno, "cannot measure the free space of", path);
  }
  return static_cast<std::size_t>(disk.f_bavail) * disk.f_frsize;
}

}  // namespace sluice
