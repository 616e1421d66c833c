// Commits transactions so that their outcome is known, even if commits wait for
// synchronous standbys.

#ifndef SLUICE_STORES_POSTGRES_COMMIT_H_
#define SLUICE_STORES_POSTGRES_COMMIT_H_

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "stores/postgres.h"

namespace sluice {

// Queues a COMMIT after the statements that are already queued. Receive sends
// all of them in one round trip.
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

// True if commits of the session wait for synchronous standbys. False also if
// the session is read-only, because such a session commits nothing.
absl::StatusOr<bool> PostgresCommitsWait(PostgresConnection& db);

// Waits until the standbys have every row that the session has seen so far.
// Does nothing if commits of the session do not wait.
absl::Status AwaitPostgresReplication(PostgresConnection& db);

}  // namespace sluice

#endif  // SLUICE_STORES_POSTGRES_COMMIT_H_
