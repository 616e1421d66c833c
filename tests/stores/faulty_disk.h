// A disk whose faults a test chooses: SQLite's own file layer, but for writes
// and syncs, which can be made to fail or to take as long as the test wants.
// https://www.sqlite.org/vfs.html

#ifndef SLUICE_TESTS_STORES_FAULTY_DISK_H_
#define SLUICE_TESTS_STORES_FAULTY_DISK_H_

#include <sqlite3.h>

#include <list>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace sluice {

// While it lives, databases are opened on it; they must be closed before it
// goes. Thread-safe.
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
  }
  // Syncs wait from now on until they are released.
  void HoldSyncs() {
    absl::MutexLock lock(&mutex_);
    hold_syncs_ = true;
  }
  void ReleaseSyncs() {
    absl::MutexLock lock(&mutex_);
    hold_syncs_ = false;
  }
  // Whether a sync is held, at the latest in a while.
  bool WaitForHeldSync() {
    absl::MutexLock lock(&mutex_);
    return mutex_.AwaitWithTimeout(
        absl::Condition(
            +[](int* held) { return *held > 0; }, &held_syncs_),
        kLimit);
  }
  // Syncs of write-ahead logs so far.
  int log_syncs() const {
    absl::MutexLock lock(&mutex_);
    return log_syncs_;
  }

 private:
  // So that a test that would hang fails instead.
  static constexpr absl::Duration kLimit = absl::Seconds(20);

  // What a file does, with a way back to what it did before.
  struct Methods : sqlite3_io_methods {
    const sqlite3_io_methods* original;
    FaultyDisk* disk;
    bool is_log;
  };

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
    methods.xSync = Sync;
    absl::MutexLock lock(&disk->mutex_);
    file->pMethods = &disk->methods_.emplace_back(methods);
    return SQLITE_OK;
  }

  static int Write(sqlite3_file* file, const void* data, int size,
                   sqlite3_int64 offset) {
    const Methods& methods = Of(file);
    {
      absl::MutexLock lock(&methods.disk->mutex_);
      if (methods.disk->full_) return SQLITE_FULL;
    }
    return methods.original->xWrite(file, data, size, offset);
  }

  static int Sync(sqlite3_file* file, int flags) {
    const Methods& methods = Of(file);
    FaultyDisk& disk = *methods.disk;
    {
      absl::MutexLock lock(&disk.mutex_);
      if (disk.syncs_fail_) return SQLITE_IOERR_FSYNC;
      ++disk.held_syncs_;
      disk.mutex_.AwaitWithTimeout(
          absl::Condition(
              +[](bool* hold) { return !*hold; }, &disk.hold_syncs_),
          kLimit);
      --disk.held_syncs_;
      if (methods.is_log) ++disk.log_syncs_;
    }
    return methods.original->xSync(file, flags);
  }

  sqlite3_vfs* const original_;
  sqlite3_vfs vfs_;

  mutable absl::Mutex mutex_;
  std::list<Methods> methods_ ABSL_GUARDED_BY(mutex_);
  bool full_ ABSL_GUARDED_BY(mutex_) = false;
  bool syncs_fail_ ABSL_GUARDED_BY(mutex_) = false;
  bool hold_syncs_ ABSL_GUARDED_BY(mutex_) = false;
  int held_syncs_ ABSL_GUARDED_BY(mutex_) = 0;
  int log_syncs_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace sluice

#endif  // SLUICE_TESTS_STORES_FAULTY_DISK_H_
