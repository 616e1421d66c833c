// A library that is preloaded into the server to turn kill -9 into a power cut:
// it saves the bytes that each write to the data directory replaces (see
// undo_record.h) until the file is synced. With kDiskLiesVariable, a sync
// reports success and does nothing, as some disks do.
//
// It intercepts the calls that SQLite makes on files directly in the data
// directory. Memory maps are not intercepted: SQLite uses them for its shared
// memory only, which need not survive. fallocate, sync_file_range and similar
// calls are not intercepted, and make nothing durable.

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "tests/crash/undo_record.h"
#include "tests/fakes/next_function.h"

namespace sluice {
namespace {

struct Real {
  decltype(::write)* write = Next<decltype(::write)>("write");
  decltype(::writev)* writev = Next<decltype(::writev)>("writev");
  decltype(::pwrite64)* pwrite = Next<decltype(::pwrite64)>("pwrite64");
  decltype(::ftruncate64)* ftruncate =
      Next<decltype(::ftruncate64)>("ftruncate64");
  decltype(::fsync)* fsync = Next<decltype(::fsync)>("fsync");
  decltype(::fdatasync)* fdatasync = Next<decltype(::fdatasync)>("fdatasync");
  decltype(::unlink)* unlink = Next<decltype(::unlink)>("unlink");
};

const Real& real() {
  static const Real real;
  return real;
}

std::string Variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

// The undo log of one file, and the lock that orders its writes and syncs.
struct UndoLog {
  std::mutex mutex;
  int descriptor = -1;
};

// Never destroyed: other threads may write until the process has ended.
class Disk {
 public:
  static Disk& Get() {
    static Disk& disk = *new Disk;
    return disk;
  }

  bool lies() const { return lies_; }

  // Returns the log of a file in the data directory. Null for other files.
  UndoLog* Find(int file) {
    struct stat64 about {};
    if (data_prefix_ == "/" || fstat64(file, &about) != 0 ||
        !S_ISREG(about.st_mode) || about.st_nlink == 0) {
      return nullptr;
    }
    std::array<char, PATH_MAX> path;
    const std::string link = "/proc/self/fd/" + std::to_string(file);
    const ssize_t size = readlink(link.c_str(), path.data(), path.size());
    if (size <= 0) return nullptr;
    return Find(std::string_view(path.data(), static_cast<std::size_t>(size)));
  }

  UndoLog* Find(std::string_view path) {
    if (data_prefix_ == "/" || !path.starts_with(data_prefix_)) return nullptr;
    const std::string name(path.substr(data_prefix_.size()));
    if (name.find('/') != std::string::npos || name.ends_with("-shm")) {
      return nullptr;
    }
    const std::lock_guard lock(mutex_);
    std::unique_ptr<UndoLog>& log = logs_[name];
    if (log == nullptr) {
      log = std::make_unique<UndoLog>();
      log->descriptor = open((undo_prefix_ + name).c_str(),
                             O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    }
    return log.get();
  }

 private:
  Disk() = default;

  const std::string data_prefix_ = Variable(kDiskDataVariable) + "/";
  const std::string undo_prefix_ = Variable(kDiskUndoVariable) + "/";
  const bool lies_ = std::getenv(kDiskLiesVariable) != nullptr;

  std::mutex mutex_;
  std::map<std::string, std::unique_ptr<UndoLog>> logs_;
};

// Reads through the descriptor that writes, which must be readable too. Closing
// a second descriptor would release all locks of this process on the file
// (POSIX), including the locks that keep other processes from removing SQLite's
// log.
bool ReadAll(int file, off64_t offset, std::vector<char>& bytes) {
  const ssize_t size = pread64(file, bytes.data(), bytes.size(), offset);
  return size == static_cast<ssize_t>(bytes.size());
}

// Saves the content at [offset, offset + length). The log's lock must be held.
bool Remember(const UndoLog& log, int file, off64_t offset, off64_t length) {
  struct stat64 about {};
  if (fstat64(file, &about) != 0) return false;
  const off64_t end = std::min(about.st_size, offset + length);
  std::vector<char> bytes(
      static_cast<std::size_t>(std::max<off64_t>(0, end - offset)));
  if (!bytes.empty() && !ReadAll(file, offset, bytes)) return false;
  UndoRecord record{.size_before = static_cast<std::uint64_t>(about.st_size),
                    .offset = static_cast<std::uint64_t>(offset),
                    .length = bytes.size()};
  const std::array<iovec, 2> parts = {
      {{&record, sizeof record}, {bytes.data(), bytes.size()}}};
  const auto size = static_cast<ssize_t>(sizeof record + bytes.size());
  return real().writev(log.descriptor, parts.data(), parts.size()) == size;
}

// Runs `write`, which changes the file from `offset` on.
template <typename Write>
auto Keeping(int file, off64_t offset, off64_t length, Write write) {
  UndoLog* log = Disk::Get().Find(file);
  if (log == nullptr) return write();
  const std::lock_guard lock(log->mutex);
  if (Remember(*log, file, offset, length)) return write();
  errno = EIO;
  return decltype(write())(-1);
}

// Returns the offset of a write that uses the file's own offset.
off64_t Position(int file) {
  if ((fcntl(file, F_GETFL) & O_APPEND) == 0) {
    return lseek64(file, 0, SEEK_CUR);
  }
  struct stat64 about {};
  return fstat64(file, &about) == 0 ? about.st_size : -1;
}

void Forget(const UndoLog& log) {
  // If the log could not be cleared, durable writes would be undone later.
  if (real().ftruncate(log.descriptor, 0) != 0) std::abort();
}

int Sync(int file, int (*sync)(int)) {
  Disk& disk = Disk::Get();
  UndoLog* log = disk.Find(file);
  if (log == nullptr) return sync(file);
  if (disk.lies()) return 0;
  const std::lock_guard lock(log->mutex);
  const int result = sync(file);
  if (result == 0) Forget(*log);
  return result;
}

// pwrite and pwrite64 are the same function if files have 64-bit sizes.
static_assert(sizeof(off_t) == sizeof(off64_t));

ssize_t PositionedWrite(int file, const void* bytes, std::size_t size,
                        off64_t offset) {
  return Keeping(file, offset, static_cast<off64_t>(size),
                 [&] { return real().pwrite(file, bytes, size, offset); });
}

int Truncate(int file, off64_t size) {
  return Keeping(file, size, LLONG_MAX - size,
                 [&] { return real().ftruncate(file, size); });
}

}  // namespace
}  // namespace sluice

extern "C" {

ssize_t write(int file, const void* bytes, std::size_t size) {
  const auto write = [&] { return sluice::real().write(file, bytes, size); };
  // Most writes go to pipes and sockets, which have no offset.
  const off64_t position = sluice::Position(file);
  if (position < 0) return write();
  return sluice::Keeping(file, position, static_cast<off64_t>(size), write);
}

ssize_t writev(int file, const iovec* parts, int count) {
  const auto write = [&] { return sluice::real().writev(file, parts, count); };
  const off64_t position = sluice::Position(file);
  if (position < 0) return write();
  off64_t size = 0;
  for (int i = 0; i < count; ++i) {
    size += static_cast<off64_t>(parts[i].iov_len);
  }
  return sluice::Keeping(file, position, size, write);
}

ssize_t pwrite(int file, const void* bytes, std::size_t size, off_t offset) {
  return sluice::PositionedWrite(file, bytes, size, offset);
}

ssize_t pwrite64(int file, const void* bytes, std::size_t size,
                 off64_t offset) {
  return sluice::PositionedWrite(file, bytes, size, offset);
}

int ftruncate(int file, off_t size) noexcept {
  return sluice::Truncate(file, size);
}

int ftruncate64(int file, off64_t size) noexcept {
  return sluice::Truncate(file, size);
}

int fsync(int file) { return sluice::Sync(file, sluice::real().fsync); }

int fdatasync(int file) { return sluice::Sync(file, sluice::real().fdatasync); }

int unlink(const char* path) noexcept {
  const int result = sluice::real().unlink(path);
  if (result != 0) return result;
  if (sluice::UndoLog* log = sluice::Disk::Get().Find(std::string_view(path))) {
    const std::lock_guard lock(log->mutex);
    sluice::Forget(*log);
  }
  return result;
}

}  // extern "C"
