// The PostgreSQL database as the store uses it: its tables, the view for people
// who read it with SQL, and the settings of a session that make it durable.

#ifndef SLUICE_STORES_POSTGRES_SCHEMA_H_
#define SLUICE_STORES_POSTGRES_SCHEMA_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "stores/postgres.h"

namespace sluice {

// Kept in the table sluice_schema. A change of the schema is a new version.
inline constexpr std::int64_t kPostgresSchemaVersion = 1;

// "Slui": the first key of all our advisory locks. The second is a server's
// number, or kPostgresSchemaLock.
inline constexpr std::int32_t kPostgresLockClass = 0x536c7569;
inline constexpr std::int32_t kPostgresSchemaLock = -1;

// Opens a session whose commits are on disk when they return. The server ends a
// statement that takes longer than `timeout`. Each step of opening waits for at
// most `wait`. FAILED_PRECONDITION if the database cannot be used as it is: its
// encoding is not UTF-8, it is older than version 15, or fsync is off.
absl::StatusOr<PostgresConnection> OpenPostgresSession(const std::string& url,
                                                       absl::Duration timeout,
                                                       absl::Duration wait);

// How long a client waits for a statement that the server ends after `timeout`.
// The server must end it first: a client that stops waiting earlier does not
// know the outcome, and has to close the session.
inline absl::Duration PostgresClientTimeout(absl::Duration timeout) {
  return timeout + timeout / 4;
}

// Creates what is missing, in the first schema of the search_path; other
// servers that do the same at that moment wait for it. FAILED_PRECONDITION
// where a newer version has written it, or there are tables of another
// application: then it is left as it was.
absl::Status CreatePostgresSchema(PostgresConnection& db);

}  // namespace sluice

#endif  // SLUICE_STORES_POSTGRES_SCHEMA_H_
