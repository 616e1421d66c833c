#include "stores/sqlite_schema.h"

#include <filesystem>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "stores/migration.h"
#include "stores/sqlite_file.h"

namespace sluice {
namespace {

// The database keeps the comments inside the statements: `.schema` shows them.
constexpr char kSchema[] = R"sql(
CREATE TABLE submissions (
  -- Order of arrival.
  sequence INTEGER PRIMARY KEY,
  -- questionnaire_response, patient_record or app_event
  kind TEXT NOT NULL,
  study_id TEXT NOT NULL,
  submission_id TEXT NOT NULL,
  site_id TEXT,
  -- FHIR reference, or the patient's id
  subject TEXT,
  -- canonical url|version
  questionnaire TEXT,
  -- FHIR code, e.g. completed
  status TEXT,
  -- As sent, with the device's offset; authored_at is the instant of it.
  authored TEXT,
  -- All instants are UTC, ISO 8601, to the microsecond.
  authored_at TEXT,
  sent_at TEXT,
  received_at TEXT NOT NULL,
  supersedes_submission_id TEXT,
  reason_for_change TEXT,
  content_sha256 BLOB NOT NULL CHECK (length(content_sha256) = 32),
  -- JSON: an object per answer, in the order of the form. See the view answers.
  answers TEXT NOT NULL,
  -- The original bytes (protobuf). Last, so that reading the rest skips them.
  content BLOB NOT NULL,
  -- The id first: ids that grow with time then enter this index at one place,
  -- its end, however many studies there are.
  UNIQUE (submission_id, study_id)
) STRICT;

-- Refused: another content under an id that was known.
CREATE TABLE conflicts (
  -- Order of arrival; of the refused, which is in gaps as well.
  sequence INTEGER PRIMARY KEY,
  -- The submission that has the id.
  first_sequence INTEGER NOT NULL REFERENCES submissions (sequence),
  kind TEXT NOT NULL,
  study_id TEXT NOT NULL,
  submission_id TEXT NOT NULL,
  received_at TEXT NOT NULL,
  sent_at TEXT,
  content_sha256 BLOB NOT NULL CHECK (length(content_sha256) = 32),
  content_bytes INTEGER NOT NULL,
  -- The refused bytes (protobuf). Each content of a first_sequence is kept
  -- once: NULL if another row with the same first_sequence and content_sha256
  -- has the bytes. NULL also in rows of version 1 of these tables.
  content BLOB
) STRICT;
CREATE INDEX conflict_contents ON conflicts (first_sequence, content_sha256)
  WHERE content IS NOT NULL;

-- Sequences that no submission has, for those who read on from the last one.
CREATE TABLE gaps (
  sequence INTEGER PRIMARY KEY,
  -- duplicate or conflict, of a submission that came before
  reason TEXT NOT NULL,
  -- The submission that came before. NULL in rows of versions 1 and 2 of these
  -- tables.
  first_sequence INTEGER
) STRICT;

-- One answer per row. Order by sequence, position to read them as filled in.
-- A boolean's value is the text true or false, an integer's an integer; all
-- others are text as sent: decimals keep their digits.
CREATE VIEW answers AS
SELECT
  s.sequence,
  s.study_id,
  s.site_id,
  s.submission_id,
  s.subject,
  s.questionnaire,
  s.status,
  a.key AS position,
  a.value ->> 'link_id' AS link_id,
  a.value ->> 'type' AS type,
  CASE json_type(a.value, '$.value')
    WHEN 'true' THEN 'true'
    WHEN 'false' THEN 'false'
    ELSE a.value ->> 'value'
  END AS value,
  a.value ->> 'unit' AS unit,
  a.value ->> 'system' AS system,
  a.value ->> 'display' AS display,
  s.authored,
  s.received_at
FROM submissions AS s, json_each(s.answers) AS a;
)sql";

// Version 2 keeps the contents of conflicts. Rows of version 1 keep NULL.
constexpr char kKeepConflicts[] = R"sql(
ALTER TABLE conflicts ADD COLUMN
  -- The refused bytes (protobuf). Each content of a first_sequence is kept
  -- once: NULL if another row with the same first_sequence and content_sha256
  -- has the bytes. NULL also in rows of version 1 of these tables.
  content BLOB;
CREATE INDEX conflict_contents ON conflicts (first_sequence, content_sha256)
  WHERE content IS NOT NULL;
)sql";

// Version 3 connects a submission with all of its sequence numbers, and knows
// the journals of servers.
constexpr char kKeepFirstSequences[] = R"sql(
ALTER TABLE gaps ADD COLUMN
  -- The submission that came before. NULL in rows of versions 1 and 2 of these
  -- tables.
  first_sequence INTEGER;
)sql";

// Tables and indexes of version 3, for new files and for migrated files.
constexpr char kServers[] = R"sql(
CREATE INDEX gap_first_sequences ON gaps (first_sequence, sequence)
  WHERE reason = 'duplicate';

-- Submissions that got another sequence number than their callers were told,
-- because another submission has the reported number. A table, not a column of
-- submissions: a duplicate and a conflict have no row there, a new column would
-- come after the large content, and very few submissions have such a number.
CREATE TABLE renumbered (
  -- The number that the submission got, in submissions or in gaps.
  sequence INTEGER PRIMARY KEY,
  -- The number that the caller was told.
  reported_sequence INTEGER NOT NULL
) STRICT;
CREATE INDEX renumbered_reported ON renumbered (reported_sequence);

-- Journals of the server, which have acknowledged submissions that this
-- database does not have yet.
CREATE TABLE journals (
  -- 32 hexadecimal digits
  id TEXT PRIMARY KEY NOT NULL,
  -- Number of the server that uses the journal.
  server INTEGER NOT NULL,
  -- Name of the pool that used the journal last.
  pool TEXT NOT NULL,
  -- Machine and absolute path of the file.
  host TEXT NOT NULL,
  path TEXT NOT NULL,
  -- Set when the journal is no longer used.
  retired_at TEXT,
  retired_because TEXT
) STRICT;

-- Numbers that the server may have assigned to submissions in its journal.
CREATE TABLE servers (
  number INTEGER PRIMARY KEY,
  -- Highest reserved sequence number.
  reserved INTEGER NOT NULL
) STRICT;
)sql";

// Returns a step that runs all `statements` in one transaction.
MigrationStep StepOf(std::int64_t from_version,
                     std::vector<const char*> statements,
                     SqliteConnection& db) {
  return {.from_version = from_version,
          .run = [statements = std::move(statements),
                  &db]() -> absl::StatusOr<bool> {
            for (const char* const some : statements) {
              const absl::Status status = db.Execute(some);
              if (!status.ok()) return status;
            }
            return true;
          }};
}

std::vector<MigrationStep> Steps(SqliteConnection& db) {
  return {StepOf(1, {kKeepConflicts}, db),
          StepOf(2, {kKeepFirstSequences, kServers}, db)};
}

SqliteFileKind FileKind() {
  static const auto* const schema =
      new std::string(absl::StrCat(kSchema, kServers));
  return {kSqliteApplicationId, kSqliteSchemaVersion, schema->c_str()};
}

}  // namespace

absl::StatusOr<bool> IsNewSqliteStore(const std::string& path,
                                      absl::Duration busy_timeout) {
  std::error_code error;
  // Opening the file would create it.
  if (!std::filesystem::exists(path, error)) return true;
  auto db = SqliteConnection::Open(path, busy_timeout);
  if (!db.ok()) return db.status();
  db->KeepLogOnClose(true);
  const auto version = InspectSqliteFile(*db, FileKind());
  if (!version.ok()) return version.status();
  return *version == kNewSqliteFile;
}

absl::StatusOr<SqliteConnection> OpenSqliteForWriting(
    const std::string& path, absl::Duration busy_timeout) {
  absl::StatusOr<SqliteConnection> db =
      OpenSqliteFile(path, busy_timeout, FileKind(), Steps);
  if (!db.ok()) return db.status();
  const absl::Status status = db->Execute("PRAGMA foreign_keys = ON");
  if (!status.ok()) return status;
  return db;
}

absl::StatusOr<SqliteConnection> OpenSqliteForReading(
    const std::string& path, absl::Duration busy_timeout) {
  absl::StatusOr<SqliteConnection> db =
      SqliteConnection::Open(path, busy_timeout);
  if (!db.ok()) return db.status();
  const absl::Status status = db->Execute("PRAGMA query_only = ON");
  if (!status.ok()) return status;
  return db;
}

}  // namespace sluice
