// Code shared by all SQLite files of the program: the owner's lock on a file,
// and the settings that make commits durable.

#ifndef SLUICE_STORES_SQLITE_FILE_H_
#define SLUICE_STORES_SQLITE_FILE_H_

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "stores/files.h"
#include "stores/migration.h"
#include "stores/open_files.h"
#include "stores/sqlite.h"

namespace sluice {

// A file that only this process writes.
struct ClaimedFile {
  std::string path;  // absolute path
  FileLock lock;     // lock on `<path>.lock`, under each path to the file
};

// Creates the file's directory if it is missing, and takes the file's lock.
// FAILED_PRECONDITION if another process has the lock, also by another path, or
// if the file has several names (hard links). UNAVAILABLE if the directory or
// the lock file cannot be created.
absl::StatusOr<ClaimedFile> ClaimSqliteFile(const std::string& path);

struct SqliteFileKind {
  std::int64_t application_id;  // stored as `PRAGMA application_id`
  std::int64_t version;         // stored as `PRAGMA user_version`
  const char* schema;           // statements that create the tables
};

// Version of a file without content.
inline constexpr std::int64_t kNewSqliteFile = 0;

// Returns the version of an open file, or kNewSqliteFile. Changes nothing.
// FAILED_PRECONDITION if the file is of a newer version or of another
// application, DATA_LOSS if it is not a database.
absl::StatusOr<std::int64_t> InspectSqliteFile(SqliteConnection& db,
                                               const SqliteFileKind& kind);

// Returns UNAVAILABLE if the process has no right to write a file of the open
// database, or if its file system is mounted read-only. Writes nothing.
absl::Status CheckSqliteWritable(SqliteConnection& db);

// Prepares a file. `version` is the result of InspectSqliteFile. Sets a
// write-ahead log and a sync at every commit. Creates the tables in a new file.
// Runs `steps` on a file of an older version. UNAVAILABLE if the file cannot be
// written.
absl::Status PrepareSqliteFile(SqliteConnection& db, const SqliteFileKind& kind,
                               std::int64_t version,
                               absl::Span<const MigrationStep> steps);

// Returns the steps that migrate a database from an older version.
using SqliteSteps =
    absl::FunctionRef<std::vector<MigrationStep>(SqliteConnection& db)>;
inline std::vector<MigrationStep> NoSqliteSteps(SqliteConnection& /*db*/) {
  return {};
}

// Opens the database at `path` (absolute) for writing: InspectSqliteFile and
// PrepareSqliteFile. After an error the file is as it was, except for complete
// parts of a migration.
absl::StatusOr<SqliteConnection> OpenSqliteFile(
    const std::string& path, absl::Duration busy_timeout,
    const SqliteFileKind& kind, SqliteSteps steps = NoSqliteSteps);

// Returns OK if a transaction that writes could begin now and, if `writing`,
// pages could be written and synced. Writes nothing unless `writing`. Waits for
// another writer for at most 100 ms. Sets the connection's busy timeout to
// `busy_timeout` at the end.
absl::Status ProbeSqliteFile(SqliteConnection& db, bool writing,
                             absl::Duration busy_timeout);

// Notices that files of an open database were removed or replaced, or that its
// write-ahead log was cut, by other programs. Nobody may rely on a commit
// before Check has returned OK after the commit. Not thread-safe.
class SqliteFileWatch {
 public:
  // `db` must be open for writing and use a write-ahead log. Also watches the
  // files `more`. UNAVAILABLE if a file is missing.
  static absl::StatusOr<SqliteFileWatch> Start(
      SqliteConnection& db, const std::vector<std::string>& more);

  // Returns OK if all files are in place and whole, otherwise UNAVAILABLE with
  // the name of the file. When a file was removed or replaced, but not the
  // database file, the first failure copies all commits from the write-ahead
  // log into the database file. Without this copy, commits that were
  // acknowledged before would be lost with the log. A log that was cut is never
  // copied, because the copy would damage the database file.
  absl::Status Check(SqliteConnection& db);
  // True if the last Check failed.
  bool failed() const { return failed_; }

  // Returns all files that are watched.
  const OpenFiles& files() const { return all_; }

 private:
  SqliteFileWatch(OpenFiles all, OpenFiles database)
      : all_(std::move(all)), database_(std::move(database)) {}

  OpenFiles all_;
  OpenFiles database_;  // the database file alone
  bool failed_ = false;
  bool cut_ = false;
};

// Returns the status with the path prefixed to its message.
absl::Status NamingFile(const absl::Status& status, const std::string& path);

}  // namespace sluice

#endif  // SLUICE_STORES_SQLITE_FILE_H_
