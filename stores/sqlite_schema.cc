#include "stores/sqlite_schema.h"

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace sluice {
namespace {

// The comments inside are kept in the file: `.schema` shows them.
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
  conflict INTEGER PRIMARY KEY,
  -- The submission that has the id.
  first_sequence INTEGER NOT NULL REFERENCES submissions (sequence),
  kind TEXT NOT NULL,
  study_id TEXT NOT NULL,
  submission_id TEXT NOT NULL,
  received_at TEXT NOT NULL,
  sent_at TEXT,
  content_sha256 BLOB NOT NULL CHECK (length(content_sha256) = 32),
  content_bytes INTEGER NOT NULL
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

// Before anything in the file is changed.
absl::Status CheckOwner(std::int64_t application_id, std::int64_t version) {
  if (application_id != kSqliteApplicationId) {
    return absl::FailedPreconditionError(
        "the database belongs to another application");
  }
  if (version > kSqliteSchemaVersion) {
    return absl::FailedPreconditionError(absl::StrCat(
        "the database has schema version ", version,
        ", written by a newer version of this program, which knows versions up "
        "to ",
        kSqliteSchemaVersion));
  }
  return absl::OkStatus();
}

// Whether it has no content yet.
absl::StatusOr<bool> IsNew(SqliteConnection& db) {
  const auto objects = db.QueryInteger("SELECT count(*) FROM sqlite_schema");
  if (!objects.ok()) return objects.status();
  const auto application_id = db.QueryInteger("PRAGMA application_id");
  if (!application_id.ok()) return application_id.status();
  const auto version = db.QueryInteger("PRAGMA user_version");
  if (!version.ok()) return version.status();
  if (*objects == 0 && *application_id == 0 && *version == 0) return true;
  if (absl::Status s = CheckOwner(*application_id, *version); !s.ok()) return s;
  return false;
}

// A commit is on disk when it returns.
absl::Status MakeDurable(SqliteConnection& db) {
  // A page holds several submissions. The log would keep for ever the size that
  // a long reader makes it grow to.
  const absl::Status status = db.Execute(
      "PRAGMA page_size = 8192;"
      "PRAGMA synchronous = FULL;"
      "PRAGMA foreign_keys = ON;"
      "PRAGMA journal_size_limit = 67108864");
  if (!status.ok()) return status;
  const auto mode = db.QueryText("PRAGMA journal_mode = WAL");
  if (!mode.ok()) return mode.status();
  if (*mode == "wal") return absl::OkStatus();
  return absl::FailedPreconditionError(
      "the file system does not support SQLite's write-ahead log");
}

absl::Status CreateSchema(SqliteConnection& db) {
  SqliteTransaction transaction(db);
  absl::Status status = transaction.Begin(SqliteTransaction::Mode::kWrite);
  if (status.ok()) status = db.Execute(kSchema);
  if (status.ok()) {
    status = db.Execute(
        absl::StrCat("PRAGMA application_id = ", kSqliteApplicationId,
                     "; PRAGMA user_version = ", kSqliteSchemaVersion)
            .c_str());
  }
  return status.ok() ? transaction.Commit() : status;
}

}  // namespace

absl::StatusOr<SqliteConnection> OpenSqliteForWriting(
    const std::string& path, absl::Duration busy_timeout) {
  absl::StatusOr<SqliteConnection> db =
      SqliteConnection::Open(path, busy_timeout);
  if (!db.ok()) return db.status();
  const absl::StatusOr<bool> is_new = IsNew(*db);
  if (!is_new.ok()) return is_new.status();

  absl::Status status = MakeDurable(*db);
  if (status.ok() && *is_new) status = CreateSchema(*db);
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
