#include "stores/postgres_commit.h"

namespace sluice {
namespace {

constexpr char kWriteMessage[] =
    "SELECT pg_logical_emit_message(true, 'sluice', '')"
    " WHERE current_setting('synchronous_standby_names') <> ''";

constexpr char kMustWait[] =
    "SELECT current_setting('synchronous_standby_names') <> ''"
    " AND current_setting('transaction_read_only') = 'off'";

}  // namespace

void SendPostgresCommit(PostgresConnection& db, bool relies_on_rows) {
  if (relies_on_rows) db.SendQuery(kWriteMessage);
  // If statement_timeout ends a COMMIT that waits for a standby, the outcome is
  // as unknown as if this side stops waiting. But then the server's warning
  // would be all that tells so.
  db.SendQuery("SET LOCAL statement_timeout = 0");
  db.SendQuery("COMMIT");
}

absl::Status AwaitPostgresReplication(PostgresConnection& db) {
  const auto must_wait = db.Query(kMustWait);
  if (!must_wait.ok()) return must_wait.status();
  if (!must_wait->BoolAt(0, 0)) return absl::OkStatus();
  db.SendQuery("BEGIN");
  SendPostgresCommit(db, /*relies_on_rows=*/true);
  return db.Receive().status();
}

}  // namespace sluice
