// The tables of the SQLite store, and the views for people who read the
// database with the sqlite3 shell.

#ifndef SLUICE_STORES_SQLITE_SCHEMA_H_
#define SLUICE_STORES_SQLITE_SCHEMA_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "stores/sqlite.h"

namespace sluice {

// `PRAGMA user_version` of the file. A change of the schema needs a new
// version, and a step in sqlite_schema.cc that migrates files of the previous
// version. Version 1 did not keep the contents of conflicts. Version 2 did not
// record journals, reserved numbers, and other numbers of a submission.
inline constexpr std::int64_t kSqliteSchemaVersion = 3;

// `PRAGMA application_id` of the file: "Slui".
inline constexpr std::int64_t kSqliteApplicationId = 0x536c7569;

// Opens the database at `path` (absolute) for writing. Migrates a file of an
// older version. Returns the errors of OpenSqliteFile.
absl::StatusOr<SqliteConnection> OpenSqliteForWriting(
    const std::string& path, absl::Duration busy_timeout);

// True if the file at `path` is missing or has no tables. Changes nothing.
// DATA_LOSS if the file is not a database. FAILED_PRECONDITION if it is of a
// newer version or of another program.
absl::StatusOr<bool> IsNewSqliteStore(const std::string& path,
                                      absl::Duration busy_timeout);

// Opens the database at `path` for reading only. OpenSqliteForWriting must have
// opened it before.
absl::StatusOr<SqliteConnection> OpenSqliteForReading(
    const std::string& path, absl::Duration busy_timeout);

}  // namespace sluice

#endif  // SLUICE_STORES_SQLITE_SCHEMA_H_
