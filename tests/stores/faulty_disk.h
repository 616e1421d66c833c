// A disk whose faults a test controls. It uses SQLite's own file layer, except
// that writes and syncs can be made to fail or to block. Syncs do not reach the
// real disk, so they take no time. https://www.sqlite.org/vfs.html

#ifndef SLUICE_TESTS_STORES_FAULTY_DISK_H_
#define SLUICE_TESTS_STORES_FAULTY_DISK_H_

#include <sqlite3.h>

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <list>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/function_ref.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace sluice {

// While it exists, all databases that are opened use this disk. They must be
// closed before it is destroyed. Thread-safe.
class FaultyDisk {
 public:
  FaultyDisk() : original_(sqlite3_vfs_find(nullptr)), vfs_(*original_) {
    vfs_.zName = "faulty_disk";
    vfs_.pAppData = this;
    vfs_.xOpen = Open;
    sqlite3_vfs_register(&vfs_, /*makeDflt=*/1);
  }
  FaultyDisk(const FaultyDisk&) = delete;
  FaultyDisk& operator=(const FaultyDisk&) = delete;
  ~FaultyDisk() {
    sqlite3_vfs_unregister(&vfs_);
    sqlite3_vfs_register(original_, /*makeDflt=*/1);
  }

  void SetFull(bool full) {
    absl::MutexLock lock(&mutex_);
    full_ = full;
  }
  void SetSyncsFail(bool fail) {
    absl::MutexLock lock(&mutex_);
    syncs_fail_ = fail;
    syncs_left_.reset();
  }
  // Lets the next `count` syncs succeed, and all later syncs fail.
  void FailSyncsAfter(int count) {
    absl::MutexLock lock(&mutex_);
    syncs_fail_ = false;
    syncs_left_ = count;
  }
  // Blocks all syncs until ReleaseSyncs.
  void HoldSyncs() {
    absl::MutexLock lock(&mutex_);
    hold_syncs_ = true;
  }
  void ReleaseSyncs() {
    absl::MutexLock lock(&mutex_);
    hold_syncs_ = false;
  }
  // Waits until a sync is blocked. Returns false after kLimit.
  bool WaitForHeldSync() {
    absl::MutexLock lock(&mutex_);
    return mutex_.AwaitWithTimeout(
        absl::Condition(
            +[](int* held) { return *held > 0; }, &held_syncs_),
        kLimit);
  }
  // Records the synced bytes of each file, for WritePowerCut. Call it before
  // files are opened.
  void TrackSyncs() {
    absl::MutexLock lock(&mutex_);
    tracks_ = true;
  }
  // Writes to `copy` the data that a power cut would now leave of the database
  // at `path` and of its log: all synced bytes, and each later write for which
  // `survives` returns true. Writes whose sync failed are lost, as on kernels
  // that mark such pages as written.
  void WritePowerCut(const std::string& path, const std::string& copy,
                     absl::FunctionRef<bool()> survives) const {
    absl::MutexLock lock(&mutex_);
    const std::string opened = std::filesystem::canonical(path).string();
    for (const char* suffix : {"", "-wal"}) {
      const Image& image = images_.at(opened + suffix);
      std::string bytes = image.synced;
      for (const Change& change : image.unsynced) {
        if (survives()) Apply(change, bytes);
      }
      std::ofstream(copy + suffix, std::ios::binary) << bytes;
    }
  }
  // Number of syncs of write-ahead logs so far.
  int log_syncs() const {
    absl::MutexLock lock(&mutex_);
    return log_syncs_;
  }

 private:
  // Limit of all waits, so that a test fails instead of hanging.
  static constexpr absl::Duration kLimit = absl::Seconds(20);

  // A write, or a truncation to `offset`.
  struct Change {
    std::size_t offset;
    std::optional<std::string> data;
  };
  struct Image {
    std::string synced;
    std::vector<Change> unsynced;
  };

  // The functions of an open file, and the original functions that they call.
  struct Methods : sqlite3_io_methods {
    const sqlite3_io_methods* original;
    FaultyDisk* disk;
    bool is_log;
    Image* image;
  };

  static void Apply(const Change& change, std::string& bytes) {
    if (!change.data) {
      bytes.resize(change.offset);
      return;
    }
    bytes.resize(std::max(bytes.size(), change.offset + change.data->size()));
    bytes.replace(change.offset, change.data->size(), *change.data);
  }

  static const Methods& Of(const sqlite3_file* file) {
    return *static_cast<const Methods*>(file->pMethods);
  }

  static int Open(sqlite3_vfs* vfs, const char* name, sqlite3_file* file,
                  int flags, int* flags_out) {
    auto* disk = static_cast<FaultyDisk*>(vfs->pAppData);
    const int code =
        disk->original_->xOpen(disk->original_, name, file, flags, flags_out);
    if (code != SQLITE_OK) return code;
    Methods methods;
    static_cast<sqlite3_io_methods&>(methods) = *file->pMethods;
    methods.original = file->pMethods;
    methods.disk = disk;
    methods.is_log = (flags & SQLITE_OPEN_WAL) != 0;
    methods.xWrite = Write;
    methods.xTruncate = Truncate;
    methods.xSync = Sync;
    absl::MutexLock lock(&disk->mutex_);
    methods.image = &disk->images_[name == nullptr ? "" : name];
    file->pMethods = &disk->methods_.emplace_back(methods);
    return SQLITE_OK;
  }

  static int Write(sqlite3_file* file, const void* data, int size,
                   sqlite3_int64 offset) {
    const Methods& methods = Of(file);
    {
      absl::MutexLock lock(&methods.disk->mutex_);
      if (methods.disk->full_) return SQLITE_FULL;
      if (methods.disk->tracks_) {
        methods.image->unsynced.push_back(
            {static_cast<std::size_t>(offset),
             std::string(static_cast<const char*>(data),
                         static_cast<std::size_t>(size))});
      }
    }
    return methods.original->xWrite(file, data, size, offset);
  }

  static int Truncate(sqlite3_file* file, sqlite3_int64 size) {
    const Methods& methods = Of(file);
    {
      absl::MutexLock lock(&methods.disk->mutex_);
      if (methods.disk->tracks_) {
        methods.image->unsynced.push_back(
            {static_cast<std::size_t>(size), std::nullopt});
      }
    }
    return methods.original->xTruncate(file, size);
  }

  static int Sync(sqlite3_file* file, int /*flags*/) {
    const Methods& methods = Of(file);
    FaultyDisk& disk = *methods.disk;
    {
      absl::MutexLock lock(&disk.mutex_);
      Image& image = *methods.image;
      if (disk.syncs_left_ && --*disk.syncs_left_ < 0) disk.syncs_fail_ = true;
      if (disk.syncs_fail_) {
        image.unsynced.clear();
        return SQLITE_IOERR_FSYNC;
      }
      ++disk.held_syncs_;
      disk.mutex_.AwaitWithTimeout(
          absl::Condition(
              +[](bool* hold) { return !*hold; }, &disk.hold_syncs_),
          kLimit);
      --disk.held_syncs_;
      for (const Change& change : image.unsynced) Apply(change, image.synced);
      image.unsynced.clear();
      if (methods.is_log) ++disk.log_syncs_;
    }
    return SQLITE_OK;
  }

  sqlite3_vfs* const original_;
  sqlite3_vfs vfs_;

  mutable absl::Mutex mutex_;
  std::list<Methods> methods_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, Image> images_ ABSL_GUARDED_BY(mutex_);
  bool tracks_ ABSL_GUARDED_BY(mutex_) = false;
  bool full_ ABSL_GUARDED_BY(mutex_) = false;
  bool syncs_fail_ ABSL_GUARDED_BY(mutex_) = false;
  std::optional<int> syncs_left_ ABSL_GUARDED_BY(mutex_);
  bool hold_syncs_ ABSL_GUARDED_BY(mutex_) = false;
  int held_syncs_ ABSL_GUARDED_BY(mutex_) = 0;
  int log_syncs_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace sluice

#endif  // SLUICE_TESTS_STORES_FAULTY_DISK_H_
