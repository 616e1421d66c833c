// Directories and locks for stores on disk.

#ifndef SLUICE_STORES_FILES_H_
#define SLUICE_STORES_FILES_H_

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace sluice {

// Creates `directory` and its missing parents, and syncs them, so that they
// survive a power cut. UNAVAILABLE if this fails.
absl::Status CreateDirectories(const std::filesystem::path& directory);

// Syncs a directory, so that the names of its files survive a power cut.
// Returns UNAVAILABLE if the sync fails.
absl::Status SyncDirectory(const std::filesystem::path& directory);

// Returns UNAVAILABLE with a text for `error`, a value of errno, e.g. "cannot
// open /x: No such file or directory".
absl::Status SystemError(int error, const char* doing,
                         const std::filesystem::path& path);

// Holds exclusive locks on files (flock(2)) until the object is destroyed or
// the process ends in any way. Creates a file that is missing, and never
// removes it. Movable. Not thread-safe.
class FileLock {
 public:
  // Acquires the lock without waiting. FAILED_PRECONDITION if the lock is
  // taken, UNAVAILABLE if the file cannot be opened.
  static absl::StatusOr<FileLock> Acquire(const std::filesystem::path& path);

  FileLock(FileLock&& other) noexcept = default;
  FileLock& operator=(FileLock&& other) = delete;
  ~FileLock();

  // Holds the locks of `other` too.
  void Add(FileLock other);

 private:
  explicit FileLock(int descriptor) : descriptors_({descriptor}) {}

  std::vector<int> descriptors_;
};

// Returns the bytes that are free on the disk of an existing file.
absl::StatusOr<std::size_t> FreeDiskBytes(const std::string& path);

}  // namespace sluice

#endif  // SLUICE_STORES_FILES_H_
