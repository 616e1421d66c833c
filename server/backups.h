// Backups of a running server: copies of its journals and of its store.

#ifndef SLUICE_SERVER_BACKUPS_H_
#define SLUICE_SERVER_BACKUPS_H_

#include <filesystem>
#include <functional>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "server/admin/backup_summary.h"
#include "server/pools.h"
#include "stores/sqlite_copy.h"
#include "stores/store.h"

namespace sluice {

// Longest name of a backup, in bytes.
inline constexpr std::size_t kBackupNameBytesMax = 64;

// Returns INVALID_ARGUMENT unless `name` consists of 1 to kBackupNameBytesMax
// letters, digits, `.`, `_` and `-`, and begins with a letter or digit.
absl::Status CheckBackupName(const std::string& name);

// Thread-safe.
class Backups {
 public:
  // Backups are made below `directory`; none can be made if it is empty. The
  // other arguments must outlive this object.
  Backups(std::string directory, const Pools* pools, Store* store);

  // Copies all journals, and then the store, to the new directory `name`. Only
  // the owner of the server's process can read the copies. The directory
  // appears under its name once everything is on disk.
  //
  // Every submission that was acknowledged before the call is in the store of
  // the backup, or in a journal or a quarantine of the backup.
  //
  // Errors, after which there is no directory `name`, unless it existed before:
  //   FAILED_PRECONDITION  `directory` is empty
  //   INVALID_ARGUMENT     `name` is not allowed (CheckBackupName)
  //   ALREADY_EXISTS       there is a backup of this name
  //   RESOURCE_EXHAUSTED   another backup is in progress, or there is not
  //                        enough room
  //   CANCELLED            `pace` ended the backup
  //   others               errors of the journals or of the store
  //
  // The thread-safety analysis is off because it does not understand the
  // TryLock.
  absl::StatusOr<BackupSummary> Make(const std::string& name,
                                     const CopyPace& pace)
      ABSL_NO_THREAD_SAFETY_ANALYSIS;

 private:
  absl::Status CopyAll(const std::filesystem::path& to, const CopyPace& pace,
                       BackupSummary& summary);

  const std::string directory_;
  const Pools& pools_;
  Store& store_;

  // Held during a backup. Nobody waits for this lock.
  absl::Mutex one_at_a_time_;
};

}  // namespace sluice

#endif  // SLUICE_SERVER_BACKUPS_H_
