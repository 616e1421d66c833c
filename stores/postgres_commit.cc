#include "stores/postgres_commit.h"

namespace sluice {
namespace {

constexpr char kWriteMessage[] =
    "SELECT pg_logical_emit_message(true, 'sluice', '')"
    " WHERE current_setting('synchronous_standby_names') <> ''";

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
  db.SendQuery(kPostgresDurability);
}

absl::StatusOr<PostgresDurability> FindPostgresDurability(
    PostgresConnection& db) {
  const auto settings = db.Query(kPostgresDurability);
  if (!settings.ok()) return settings.status();
  return ReadPostgresDurability(*settings);
}

bool PostgresCommitsWait(const PostgresDurability& durability) {
  return durability.replicates && !durability.read_only;
}

absl::StatusOr<PostgresDurability> AwaitPostgresReplication(
    PostgresConnection& db) {
  absl::StatusOr<PostgresDurability> durability = FindPostgresDurability(db);
  if (!durability.ok() || !PostgresCommitsWait(*durability)) return durability;
  db.SendQuery("BEGIN");
  SendPostgresCommit(db, /*relies_on_rows=*/true);
  const auto results = db.Receive();
  if (!results.ok()) return results.status();
  return ReadPostgresDurability(results->back());
}

}  // namespace sluice
