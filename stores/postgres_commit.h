// Ends transactions so that their outcome is known, also where commits wait for
// synchronous standbys.

#ifndef SLUICE_STORES_POSTGRES_COMMIT_H_
#define SLUICE_STORES_POSTGRES_COMMIT_H_

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "stores/postgres.h"

namespace sluice {

// Queues a COMMIT after the statements that are queued already. Receive then
// sends all in one round trip.
//
// `relies_on_rows`: the transaction reports rows that it found. A row may be
// visible before a standby has it, if the wait of its own COMMIT was ended. A
// COMMIT that wrote nothing does not wait. So the transaction writes a message
// to the log if synchronous standbys are configured. Its COMMIT then waits
// until the standbys have all of the log before, and so the rows.
void SendPostgresCommit(PostgresConnection& db, bool relies_on_rows);

// A transaction for PostgresConnection::Start that only waits for the standbys.
extern const char* const kPostgresCommitMessage;

// True if commits of the session wait for synchronous standbys. False also if
// the session may not write, as it cannot commit anything then.
absl::StatusOr<bool> PostgresCommitsWait(PostgresConnection& db);

// Waits until the standbys have every row that the session has seen so far.
// Does nothing if commits of the session do not wait.
absl::Status AwaitPostgresReplication(PostgresConnection& db);

}  // namespace sluice

#endif  // SLUICE_STORES_POSTGRES_COMMIT_H_
