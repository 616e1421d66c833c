// Commits transactions so that their outcome is known, even if commits wait for
// synchronous standbys.

#ifndef SLUICE_STORES_POSTGRES_COMMIT_H_
#define SLUICE_STORES_POSTGRES_COMMIT_H_

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "stores/postgres.h"
#include "stores/postgres_durability.h"

namespace sluice {

// Queues a COMMIT after the statements that are already queued, and after it
// the query kPostgresDurability. Receive sends all of them in one round trip.
//
// The settings must be read after the COMMIT. A session applies changed
// settings between two statements. If synchronous_standby_names were emptied
// between the query and the COMMIT, the COMMIT would not wait, and nobody would
// notice.
//
// Set `relies_on_rows` if the transaction reports rows that it found. Such a
// row may be visible although no standby has it, if the wait of the COMMIT that
// stored the row was ended early. A COMMIT of a transaction that wrote nothing
// does not wait for the standbys. With `relies_on_rows` and synchronous
// standbys, the transaction therefore writes a message to the write-ahead log.
// The COMMIT then waits until the standbys have the log up to this message,
// which includes the rows.
void SendPostgresCommit(PostgresConnection& db, bool relies_on_rows);

// A transaction for PostgresConnection::Start that only writes a message and
// waits for the standbys.
extern const char* const kPostgresCommitMessage;

// Returns the settings of the session.
absl::StatusOr<PostgresDurability> FindPostgresDurability(
    PostgresConnection& db);

// True if commits of a session with these settings wait for synchronous
// standbys. False for a read-only session, which commits nothing.
bool PostgresCommitsWait(const PostgresDurability& durability);

// Waits until the standbys have every row that the session has seen so far.
// Does not wait if commits of the session do not wait. Returns the settings of
// the session afterwards.
absl::StatusOr<PostgresDurability> AwaitPostgresReplication(
    PostgresConnection& db);

}  // namespace sluice

#endif  // SLUICE_STORES_POSTGRES_COMMIT_H_
