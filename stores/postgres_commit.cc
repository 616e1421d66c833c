#include "stores/postgres_commit.h"

namespace sluice {
namespace {

constexpr char kWriteMessage[] =
    "SELECT pg_logical_emit_message(true, 'sluice', '')"
    " WHERE current_setting('synchronous_standby_names') <> ''";

constexpr char kCommitsWait[] =
    "SELECT current_setting('synchronous_standby_names') <> ''"
    " AND current_setting('transaction_read_only') = 'off'";

}  // namespace

const char* const kPostgresCommitMessage =
    "BEGIN; SET LOCAL statement_timeout = 0;"
    " SELECT pg_logical_emit_message(true, 'sluice', ''); COMMIT";

void SendPostgresCommit(PostgresConnection& db, bool relies_on_rows) {
  if (relies_on_rows) db.SendQuery(kWriteMessage);
  // Switch statement_timeout off for the COMMIT. If the timeout ended the wait
  // for a standby, the server would report success, and only its warning would
  // show that the outcome is unknown. The deadline of the session limits the
  // wait instead.
  db.SendQuery("SET LOCAL statement_timeout = 0");
  db.SendQuery("COMMIT");
}

absl::StatusOr<bool> PostgresCommitsWait(PostgresConnection& db) {
  const auto waits = db.Query(kCommitsWait);
  if (!waits.ok()) return waits.status();
  return waits->BoolAt(0, 0);
}

absl::Status AwaitPostgresReplication(PostgresConnection& db) {
  const absl::StatusOr<bool> waits = PostgresCommitsWait(db);
  if (!waits.ok()) return waits.status();
  if (!*waits) return absl::OkStatus();
  db.SendQuery("BEGIN");
  SendPostgresCommit(db, /*relies_on_rows=*/true);
  return db.Receive().status();
}

}  // namespace sluice
