// What stores on disk need of the file system beside reading and writing.

#ifndef SLUICE_STORES_FILES_H_
#define SLUICE_STORES_FILES_H_

#include <filesystem>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace sluice {

// Creates `directory` and those above it, as far as they are missing, so that
// they survive a power cut. UNAVAILABLE where that fails.
absl::Status CreateDirectories(const std::filesystem::path& directory);

// Holds an exclusive lock on a file from Acquire until its destruction, or the
// end of the process, however that ends: flock(2). The file is created where it
// is missing, and stays. Movable, not thread-safe.
class FileLock {
 public:
  // FAILED_PRECONDITION where another holder has it; does not wait.
  // UNAVAILABLE where the file cannot be opened.
  static absl::StatusOr<FileLock> Acquire(const std::filesystem::path& path);

  FileLock(FileLock&& other) noexcept;
  FileLock& operator=(FileLock&& other) = delete;
  ~FileLock();

 private:
  explicit FileLock(int descriptor) : descriptor_(descriptor) {}

  int descriptor_;
};

}  // namespace sluice

#endif  // SLUICE_STORES_FILES_H_
