// What the program's SQLite files have in common: who owns one, and the
// settings that make what is committed durable.

#ifndef SLUICE_STORES_SQLITE_FILE_H_
#define SLUICE_STORES_SQLITE_FILE_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "stores/files.h"
#include "stores/sqlite.h"

namespace sluice {

// A file that this process alone writes.
struct ClaimedFile {
  std::string path;  // absolute
  FileLock lock;     // of `<path>.lock`
};

// Creates the file's directory where it is missing and takes its lock.
// FAILED_PRECONDITION where another process has it, UNAVAILABLE where that
// cannot be done.
absl::StatusOr<ClaimedFile> ClaimSqliteFile(const std::string& path);

struct SqliteFileKind {
  std::int64_t application_id;  // kept as `PRAGMA application_id`
  std::int64_t version;         // kept as `PRAGMA user_version`
  const char* schema;           // the statements that create it
};

// Opens the database at `path` (absolute) for writing: write-ahead log, synced
// at every commit. Creates what is missing. FAILED_PRECONDITION where a newer
// version has written it, or it belongs to another application: then it is left
// as it was. DATA_LOSS where it is no database.
absl::StatusOr<SqliteConnection> OpenSqliteFile(const std::string& path,
                                                absl::Duration busy_timeout,
                                                const SqliteFileKind& kind);

// Whether a transaction could begin now, and, where `writing`, pages be written
// and synced. It waits for another writer for a moment only; the connection's
// busy timeout is `busy_timeout` afterwards.
absl::Status ProbeSqliteFile(SqliteConnection& db, bool writing,
                             absl::Duration busy_timeout);

// The same status, naming the file.
absl::Status NamingFile(const absl::Status& status, const std::string& path);

}  // namespace sluice

#endif  // SLUICE_STORES_SQLITE_FILE_H_
