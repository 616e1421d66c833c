// The SQLite database as it lies on disk: its tables, the views for people who
// read it with the sqlite3 shell, and the settings that make it durable.

#ifndef SLUICE_STORES_SQLITE_SCHEMA_H_
#define SLUICE_STORES_SQLITE_SCHEMA_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "stores/sqlite.h"

namespace sluice {

// Kept in the file as `PRAGMA user_version`. A change of the schema is a new
// version.
inline constexpr std::int64_t kSqliteSchemaVersion = 1;

// "Slui", kept in the file as `PRAGMA application_id`.
inline constexpr std::int64_t kSqliteApplicationId = 0x536c7569;

// Opens the database at `path` (absolute) for writing: write-ahead log, synced
// at every commit. Creates what is missing. FAILED_PRECONDITION where a newer
// version has written it, or it belongs to another application: then it is left
// as it was. DATA_LOSS where it is no database.
absl::StatusOr<SqliteConnection> OpenSqliteForWriting(
    const std::string& path, absl::Duration busy_timeout);

// Opens one that OpenSqliteForWriting has opened before, for reading only.
absl::StatusOr<SqliteConnection> OpenSqliteForReading(
    const std::string& path, absl::Duration busy_timeout);

}  // namespace sluice

#endif  // SLUICE_STORES_SQLITE_SCHEMA_H_
