#include "stores/postgres_schema.h"

#include <chrono>
#include <string_view>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "base/time.h"
#include "stores/migration.h"

namespace sluice {
namespace {

constexpr int kServerVersionMin = 150000;

// Ids are compared as bytes (COLLATE "C"): this is faster, and an index does
// not depend on the system's locale. The database keeps the comments: \d+ shows
// them.
constexpr char kVersion1[] = R"sql(
CREATE TABLE sluice_schema (version bigint NOT NULL);
INSERT INTO sluice_schema VALUES (0);
COMMENT ON TABLE sluice_schema IS 'The version of these tables, one row.';

CREATE TABLE submissions (
  sequence bigint PRIMARY KEY,
  kind text NOT NULL,
  study_id text NOT NULL COLLATE "C",
  submission_id text NOT NULL COLLATE "C",
  site_id text,
  subject text,
  questionnaire text,
  status text,
  authored text,
  authored_at timestamptz,
  sent_at timestamptz,
  received_at timestamptz NOT NULL,
  supersedes_submission_id text,
  reason_for_change text,
  content_sha256 bytea NOT NULL CHECK (octet_length(content_sha256) = 32),
  answers jsonb NOT NULL,
  content bytea NOT NULL,
  -- The id first: ids that grow with time then enter this index at one place,
  -- its end, however many studies there are.
  UNIQUE (submission_id, study_id)
);
COMMENT ON COLUMN submissions.sequence IS
  'Order of arrival at a server: its number times 2^40, and a count.';
COMMENT ON COLUMN submissions.kind IS
  'questionnaire_response, patient_record or app_event';
COMMENT ON COLUMN submissions.subject IS
  'FHIR reference, or the patient''s id';
COMMENT ON COLUMN submissions.questionnaire IS 'canonical url|version';
COMMENT ON COLUMN submissions.status IS 'FHIR code, e.g. completed';
COMMENT ON COLUMN submissions.authored IS
  'As sent, with the device''s offset; authored_at is the instant of it.';
COMMENT ON COLUMN submissions.answers IS
  'An object per answer, in the order of the form. See the view answers.';
COMMENT ON COLUMN submissions.content IS
  'The original bytes (protobuf). In the other columns U+FFFD stands for '
  'U+0000, which they cannot hold.';

CREATE TABLE conflicts (
  conflict bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  first_sequence bigint NOT NULL REFERENCES submissions (sequence),
  kind text NOT NULL,
  study_id text NOT NULL COLLATE "C",
  submission_id text NOT NULL COLLATE "C",
  received_at timestamptz NOT NULL,
  sent_at timestamptz,
  content_sha256 bytea NOT NULL CHECK (octet_length(content_sha256) = 32),
  content_bytes bigint NOT NULL
);
COMMENT ON TABLE conflicts IS
  'Refused: another content under an id that was known.';
COMMENT ON COLUMN conflicts.first_sequence IS
  'The submission that has the id.';

CREATE TABLE gaps (
  sequence bigint PRIMARY KEY,
  reason text NOT NULL CHECK (reason IN ('duplicate', 'conflict'))
);
COMMENT ON TABLE gaps IS
  'Sequences that no submission has: the id was known when it came.';

CREATE VIEW answers AS
SELECT
  s.sequence,
  s.study_id,
  s.site_id,
  s.submission_id,
  s.subject,
  s.questionnaire,
  s.status,
  (a.ordinality - 1)::integer AS position,
  a.value ->> 'link_id' AS link_id,
  a.value ->> 'type' AS type,
  a.value ->> 'value' AS value,
  a.value ->> 'unit' AS unit,
  a.value ->> 'system' AS system,
  a.value ->> 'display' AS display,
  s.authored,
  s.received_at
FROM submissions AS s
CROSS JOIN LATERAL jsonb_array_elements(s.answers) WITH ORDINALITY AS a;
COMMENT ON VIEW answers IS
  'One answer per row. Order by sequence, position to read them as filled in. '
  'Values are text as sent: decimals keep their digits.';
)sql";

// Version 2 keeps the contents of conflicts. Servers of version 1 that still
// run do not set the new columns.
constexpr char kVersion2[] = R"sql(
ALTER TABLE conflicts
  ADD COLUMN sequence bigint,
  ADD COLUMN content bytea;
COMMENT ON COLUMN conflicts.sequence IS
  'Order of arrival of the refused, which is in gaps as well. Null in rows of '
  'version 1 of these tables.';
COMMENT ON COLUMN conflicts.content IS
  'The refused bytes (protobuf). Each content of a first_sequence is kept once: '
  'null if another row with the same first_sequence and content_sha256 has the '
  'bytes. Null also in rows of version 1 of these tables.';
CREATE UNIQUE INDEX conflicts_sequence ON conflicts (sequence);
CREATE INDEX conflict_contents ON conflicts (first_sequence, content_sha256)
  WHERE content IS NOT NULL;
)sql";

// Version 3 connects a submission with all of its sequence numbers, and knows
// the servers and their journals. Servers of version 2 that still run do not
// set gaps.first_sequence.
constexpr char kVersion3[] = R"sql(
ALTER TABLE gaps ADD COLUMN first_sequence bigint;
COMMENT ON COLUMN gaps.first_sequence IS
  'The submission that came before. Null in rows of versions 1 and 2 of these '
  'tables.';
CREATE INDEX gap_first_sequences ON gaps (first_sequence, sequence)
  WHERE reason = 'duplicate';

CREATE TABLE renumbered (
  sequence bigint PRIMARY KEY,
  reported_sequence bigint NOT NULL
);
CREATE INDEX renumbered_reported ON renumbered (reported_sequence);
COMMENT ON TABLE renumbered IS
  'Submissions that got another sequence number than their callers were told, '
  'because another submission has the reported number. A table, not a column '
  'of submissions: a duplicate and a conflict have no row there, and very few '
  'submissions have such a number.';
COMMENT ON COLUMN renumbered.sequence IS
  'The number that the submission got, in submissions or in gaps.';
COMMENT ON COLUMN renumbered.reported_sequence IS
  'The number that the caller was told.';

CREATE TABLE journals (
  id text PRIMARY KEY COLLATE "C",
  server bigint NOT NULL,
  pool text NOT NULL,
  host text NOT NULL,
  path text NOT NULL,
  retired_at timestamptz,
  retired_because text
);
COMMENT ON TABLE journals IS
  'Journals of the servers, which have acknowledged submissions that this '
  'database does not have yet.';
COMMENT ON COLUMN journals.id IS '32 hexadecimal digits';
COMMENT ON COLUMN journals.server IS
  'Number of the server that uses the journal.';
COMMENT ON COLUMN journals.pool IS
  'Name of the pool that used the journal last.';
COMMENT ON COLUMN journals.path IS 'Absolute path of the file on the host.';
COMMENT ON COLUMN journals.retired_at IS
  'Set when the journal is no longer used.';

CREATE TABLE servers (
  number bigint PRIMARY KEY,
  reserved bigint NOT NULL
);
COMMENT ON COLUMN servers.reserved IS
  'Highest reserved sequence number. The server assigns no higher number to a '
  'submission in its journal.';
)sql";

// client_min_messages must let warnings through: only a warning shows that the
// wait of a COMMIT for its standbys was cancelled. enable_seqscan is off
// because a prepared plan must not depend on the size that the table had when
// the plan was made. The timeouts and keepalives end sessions of clients that
// have vanished.
constexpr char kSettings[] = R"sql(
SET client_min_messages = warning;
SET default_transaction_isolation = 'read committed';
SET statement_timeout = $timeout;
SET idle_in_transaction_session_timeout = $timeout;
SET idle_session_timeout = 0;
SET tcp_keepalives_idle = 30;
SET tcp_keepalives_interval = 10;
SET tcp_keepalives_count = 3;
SET enable_seqscan = off;
SET jit = off;
SELECT set_config('synchronous_commit', 'on', false)
  WHERE current_setting('synchronous_commit') <> 'remote_apply';
)sql";

// Reads the timeline from the name of the current write-ahead log file, which
// begins with the timeline in hexadecimal. The timeline of the last checkpoint
// may be the old timeline for a while after a promotion.
constexpr char kDescribeServer[] =
    "SELECT current_setting('server_encoding') = 'UTF8',"
    " a.pid::bigint, a.backend_start,"
    " (SELECT system_identifier FROM pg_control_system()),"
    " CASE WHEN NOT pg_is_in_recovery() THEN ('x' ||"
    "   substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::bigint"
    " END"
    " FROM pg_stat_activity AS a WHERE a.pid = pg_backend_pid()";

absl::Status CheckServer(PostgresConnection& db) {
  if (db.server_version() < kServerVersionMin) {
    return absl::FailedPreconditionError(
        "PostgreSQL must be of version 15 or later");
  }
  const auto server = db.Query(kDescribeServer);
  if (!server.ok()) return server.status();
  if (server->rows() != 1) {
    return absl::UnavailableError("PostgreSQL does not show its sessions");
  }
  if (!server->BoolAt(0, 0)) {
    return absl::FailedPreconditionError(
        "the database's encoding must be UTF8");
  }
  if (server->IsNull(0, 4)) {
    return absl::UnavailableError("PostgreSQL is a standby");
  }
  db.set_backend({.process_id = server->IntegerAt(0, 1),
                  .started_at = server->TimeAt(0, 2),
                  .system_identifier = server->IntegerAt(0, 3),
                  .timeline = server->IntegerAt(0, 4)});
  return absl::OkStatus();
}

// Returns the version of the tables, or 0 if there are no tables yet.
absl::StatusOr<std::int64_t> ReadVersion(PostgresConnection& db) {
  const auto there =
      db.Query("SELECT to_regclass('sluice_schema') IS NOT NULL");
  if (!there.ok()) return there.status();
  if (!there->BoolAt(0, 0)) return 0;
  const auto version = db.Query("SELECT max(version) FROM sluice_schema");
  if (!version.ok()) return version.status();
  if (version->IsNull(0, 0) || version->IntegerAt(0, 0) < 1) {
    return absl::FailedPreconditionError(
        "the table sluice_schema has no version in it");
  }
  return version->IntegerAt(0, 0);
}

// Checks that the search_path has a schema, and no tables of another
// application. Must be called before anything is created.
absl::Status CheckRoom(PostgresConnection& db) {
  const auto room = db.Query(
      "SELECT current_schema() IS NOT NULL, to_regclass('submissions') IS NULL"
      " AND to_regclass('conflicts') IS NULL AND to_regclass('gaps') IS NULL"
      " AND to_regclass('answers') IS NULL"
      " AND to_regclass('renumbered') IS NULL"
      " AND to_regclass('journals') IS NULL"
      " AND to_regclass('servers') IS NULL");
  if (!room.ok()) return room.status();
  if (!room->BoolAt(0, 0)) {
    return absl::FailedPreconditionError("no schema of the search_path exists");
  }
  if (!room->BoolAt(0, 1)) {
    return absl::FailedPreconditionError(
        "there are tables of another application in the search_path");
  }
  return absl::OkStatus();
}

class VersionedPostgres final : public VersionedDatabase {
 public:
  VersionedPostgres(PostgresConnection& db, absl::Duration transaction_timeout)
      : db_(db), transaction_timeout_(transaction_timeout) {}

  std::string Name() const override { return "postgres"; }
  absl::StatusOr<std::int64_t> Version() override { return ReadVersion(db_); }
  // The steps change tables, but no rows.
  std::int64_t rows_changed() const override { return 0; }

  absl::StatusOr<bool> InTransaction(
      absl::FunctionRef<absl::StatusOr<bool>()> part,
      std::int64_t next_version) override {
    db_.set_deadline(std::chrono::steady_clock::now() +
                     ToMonotonic(transaction_timeout_));
    const absl::Status begun = db_.Execute("BEGIN");
    if (!begun.ok()) return begun;
    const absl::StatusOr<bool> complete = part();
    if (!complete.ok()) return complete;
    absl::Status status;
    if (*complete) {
      status = db_.Execute(
          absl::StrCat("UPDATE sluice_schema SET version = ", next_version));
    }
    if (status.ok()) status = db_.Execute("COMMIT");
    if (!status.ok()) return status;
    return *complete;
  }

 private:
  PostgresConnection& db_;
  const absl::Duration transaction_timeout_;
};

// Returns a step that runs `statements` in one transaction.
MigrationStep StepOf(std::int64_t from_version, const char* statements,
                     PostgresConnection& db) {
  return {.from_version = from_version,
          .run = [statements, &db]() -> absl::StatusOr<bool> {
            const absl::Status status = db.Execute(statements);
            if (!status.ok()) return status;
            return true;
          }};
}

absl::Status PrepareLocked(PostgresConnection& db,
                           absl::Duration transaction_timeout,
                           const KnownStore& known) {
  const absl::StatusOr<std::int64_t> version = ReadVersion(db);
  if (!version.ok()) return version.status();
  if (*version > kPostgresSchemaVersion) {
    return absl::FailedPreconditionError(absl::StrCat(
        "the database has schema version ", *version,
        ", written by a newer version of this program, which knows versions up "
        "to ",
        kPostgresSchemaVersion));
  }
  if (*version == 0) {
    const absl::Status room = CheckRoom(db);
    if (!room.ok()) return room;
    if (!known.known_by.empty() && !known.accept_damage) {
      return MissingStore("the database has no tables", known);
    }
  }
  VersionedPostgres versioned(db, transaction_timeout);
  const absl::Status migrated =
      Migrate(versioned, {StepOf(0, kVersion1, db), StepOf(1, kVersion2, db),
                          StepOf(2, kVersion3, db)});
  if (migrated.ok()) return migrated;
  return absl::Status(migrated.code(),
                      absl::StrCat("cannot create or migrate the tables: ",
                                   migrated.message()));
}

}  // namespace

absl::StatusOr<PostgresConnection> OpenPostgresSession(
    const std::string& url, const PostgresHost& host,
    absl::Duration statement_timeout, TimePoint deadline) {
  absl::StatusOr<PostgresConnection> db =
      PostgresConnection::Open(url, host, deadline);
  if (!db.ok()) return db.status();
  absl::Status status = CheckServer(*db);
  if (status.ok()) {
    status = db->Execute(absl::StrReplaceAll(
        kSettings, {{"$timeout", absl::StrCat(absl::ToInt64Milliseconds(
                                     statement_timeout))}}));
  }
  if (!status.ok()) return status;
  return db;
}

absl::Status PreparePostgresSchema(PostgresConnection& db,
                                   absl::Duration transaction_timeout,
                                   const KnownStore& known) {
  // The session holds the lock over all transactions of a migration. A server
  // that waits for the lock must not be ended by the statement timeout.
  const std::string lock =
      absl::StrCat("(", kPostgresLockClass, ", ", kPostgresSchemaLock, ")");
  absl::Status status =
      db.Execute(absl::StrCat("BEGIN; SET LOCAL statement_timeout = 0;"
                              " SELECT pg_advisory_lock",
                              lock, "; COMMIT"));
  if (status.ok()) status = PrepareLocked(db, transaction_timeout, known);
  if (!status.ok()) return status;
  return db.Execute(absl::StrCat("SELECT pg_advisory_unlock", lock));
}

absl::Status CheckPostgresWritable(PostgresConnection& db) {
  // A privilege on single columns counts too. It might not be enough, but then
  // a batch shows it.
  const auto found = db.Query(
      "SELECT pg_is_in_recovery()"
      "   OR current_setting('transaction_read_only')::boolean,"
      " coalesce((SELECT string_agg(privilege || ' on ' || name, ', ')"
      "   FROM unnest(ARRAY['submissions', 'conflicts', 'gaps', 'renumbered'])"
      "     AS t (name),"
      "   unnest(ARRAY['SELECT', 'INSERT']) AS p (privilege)"
      "   WHERE NOT has_any_column_privilege(name, privilege)), '')",
      {});
  if (!found.ok()) return found.status();
  if (found->BoolAt(0, 0)) {
    return absl::FailedPreconditionError(
        "PostgreSQL accepts no writes: it is a standby, or the session is "
        "read-only");
  }
  const std::string missing(found->BytesAt(0, 1));
  if (missing.empty()) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("the role of PostgreSQL lacks ", missing));
}

}  // namespace sluice
