#include "stores/slot_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "stores/files.h"

namespace sluice {
namespace {

constexpr std::size_t kSlotDistanceBytes = 4096;

off_t OffsetOf(std::size_t slot) {
  return static_cast<off_t>(slot * kSlotDistanceBytes);
}

}  // namespace

absl::StatusOr<SlotFile::Content> SlotFile::Read(const std::string& path,
                                                 std::size_t record_bytes) {
  Content content;
  const int descriptor = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0 && errno == ENOENT) return content;
  if (descriptor < 0) return SystemError(errno, "cannot open", path);
  content.file_exists = true;
  for (std::size_t slot = 0; slot < kSlots; ++slot) {
    std::string& bytes = content.slots[slot];
    bytes.resize(record_bytes);
    const ssize_t size =
        pread(descriptor, bytes.data(), bytes.size(), OffsetOf(slot));
    if (size < 0) {
      const int error = errno;
      close(descriptor);
      return SystemError(error, "cannot read", path);
    }
    bytes.resize(static_cast<std::size_t>(size));
  }
  close(descriptor);
  return content;
}

absl::StatusOr<SlotFile> SlotFile::Open(const std::string& path) {
  const int descriptor =
      open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, S_IRUSR | S_IWUSR);
  if (descriptor < 0) return SystemError(errno, "cannot open", path);
  return SlotFile(path, descriptor);
}

SlotFile::SlotFile(SlotFile&& other) noexcept
    : path_(std::move(other.path_)),
      descriptor_(std::exchange(other.descriptor_, -1)) {}

SlotFile::~SlotFile() {
  if (descriptor_ >= 0) close(descriptor_);
}

absl::Status SlotFile::Write(std::size_t slot, std::string_view record) {
  const ssize_t written =
      pwrite(descriptor_, record.data(), record.size(), OffsetOf(slot));
  if (written < 0) return SystemError(errno, "cannot write", path_);
  if (static_cast<std::size_t>(written) != record.size()) {
    return SystemError(ENOSPC, "cannot write", path_);
  }
  return absl::OkStatus();
}

absl::Status SlotFile::Sync() {
  if (fsync(descriptor_) != 0) return SystemError(errno, "cannot sync", path_);
  const std::filesystem::path parent =
      std::filesystem::path(path_).parent_path();
  return SyncDirectory(parent.empty() ? "." : parent);
}

}  // namespace sluice
