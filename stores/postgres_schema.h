// The tables of the PostgreSQL store, the view for people who read the database
// with SQL, and the settings of a session that make commits durable.

#ifndef SLUICE_STORES_POSTGRES_SCHEMA_H_
#define SLUICE_STORES_POSTGRES_SCHEMA_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "stores/postgres.h"
#include "stores/store.h"

namespace sluice {

// Version of the schema, stored in the table sluice_schema. Every change of the
// schema needs a new version, and a step in postgres_schema.cc that migrates
// tables of the previous version. Version 1 did not keep the contents of
// conflicts. Version 2 did not record journals, reserved numbers, and other
// numbers of a submission.
inline constexpr std::int64_t kPostgresSchemaVersion = 3;

// The first key of all advisory locks of this program: "Slui". The second key
// is a server's number, kPostgresWritersLock plus a server's number, or
// kPostgresSchemaLock.
inline constexpr std::int32_t kPostgresLockClass = 0x536c7569;
inline constexpr std::int32_t kPostgresSchemaLock = -1;
inline constexpr std::int32_t kPostgresWritersLock = 1024;

// Opens a session whose commits are on disk when they return. The server ends a
// statement that takes longer than `statement_timeout`. All waits end at
// `deadline`, until set_deadline changes the deadline. FAILED_PRECONDITION if
// the database is unsuitable: its encoding is not UTF-8, or it is older than
// version 15. UNAVAILABLE if the server is a standby.
absl::StatusOr<PostgresConnection> OpenPostgresSession(
    const std::string& url, const PostgresHost& host,
    absl::Duration statement_timeout, TimePoint deadline);

// Creates the tables if they are missing, in the first schema of the
// search_path, or migrates tables of an older version. Servers that do so at
// the same time wait for each other, until the deadline of `db`. Each
// transaction of a migration has `transaction_timeout`, which replaces the
// deadline. After an error, `db` must be closed.
// FAILED_PRECONDITION if the tables are of a newer version, or there are tables
// of another application, DATA_LOSS if there are no tables although `known`
// shows that there were; then the database is left as it was.
absl::Status PreparePostgresSchema(PostgresConnection& db,
                                   absl::Duration transaction_timeout,
                                   const KnownStore& known = {});

// Returns OK if the session could save a batch as far as rights are concerned:
// the server accepts writes, and the role has the privileges on the tables.
// Otherwise FAILED_PRECONDITION with what is missing. Writes nothing.
absl::Status CheckPostgresWritable(PostgresConnection& db);

}  // namespace sluice

#endif  // SLUICE_STORES_POSTGRES_SCHEMA_H_
