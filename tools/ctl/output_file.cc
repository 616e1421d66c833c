#include "tools/ctl/output_file.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>

#include "absl/strings/str_cat.h"

namespace sluice {
namespace {

absl::Status SystemError() {
  return absl::UnavailableError(std::strerror(errno));
}

// Syncs the folder, so that the new name survives a power cut.
absl::Status SyncDirectoryOf(const std::string& path) {
  std::string directory = std::filesystem::path(path).parent_path().string();
  if (directory.empty()) directory = ".";
  const int fd = open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return SystemError();
  const absl::Status status = fsync(fd) == 0 ? absl::OkStatus() : SystemError();
  close(fd);
  return status;
}

}  // namespace

absl::StatusOr<OutputFile> OutputFile::Create(const std::string& path) {
  if (path.empty()) return OutputFile("", "", stdout);
  struct stat existing {};
  if (stat(path.c_str(), &existing) == 0 && !S_ISREG(existing.st_mode)) {
    return absl::FailedPreconditionError("not a regular file");
  }
  std::string temporary = absl::StrCat(path, ".partial-XXXXXX");
  const int fd = mkostemp(temporary.data(), O_CLOEXEC);
  if (fd < 0) return SystemError();
  std::FILE* file = fdopen(fd, "wb");
  if (file == nullptr) {
    const absl::Status status = SystemError();
    close(fd);
    unlink(temporary.c_str());
    return status;
  }
  return OutputFile(path, std::move(temporary), file);
}

OutputFile::OutputFile(OutputFile&& other) noexcept
    : path_(std::move(other.path_)),
      temporary_(std::exchange(other.temporary_, "")),
      file_(std::exchange(other.file_, nullptr)),
      status_(std::move(other.status_)) {}

OutputFile::~OutputFile() {
  if (file_ != nullptr && file_ != stdout) std::fclose(file_);
  if (!temporary_.empty()) unlink(temporary_.c_str());
}

bool OutputFile::Write(absl::string_view bytes) {
  if (!status_.ok()) return false;
  if (std::fwrite(bytes.data(), 1, bytes.size(), file_) == bytes.size()) {
    return true;
  }
  status_ = SystemError();
  return false;
}

absl::Status OutputFile::Commit() {
  status_.Update(Finish());
  if (!status_.ok() || path_.empty()) return status_;
  if (std::rename(temporary_.c_str(), path_.c_str()) != 0) return SystemError();
  temporary_.clear();
  return SyncDirectoryOf(path_);
}

absl::Status OutputFile::Finish() {
  std::FILE* file = std::exchange(file_, nullptr);
  absl::Status status;
  if (std::fflush(file) != 0) status = SystemError();
  if (file == stdout) return status;
  if (status.ok() && fsync(fileno(file)) != 0) status = SystemError();
  if (std::fclose(file) != 0) status.Update(SystemError());
  return status;
}

}  // namespace sluice
