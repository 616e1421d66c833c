#include "stores/journal_discarded.h"

#include "base/check.h"
#include "stores/sqlite_values.h"

namespace sluice {

// Times are microseconds since 1970.
const char kDiscardedSchema[] = R"sql(
CREATE TABLE IF NOT EXISTS discarded (
  -- The order of discarding.
  number INTEGER PRIMARY KEY,
  sequence INTEGER NOT NULL,
  method TEXT NOT NULL,
  kind TEXT NOT NULL,
  study_id TEXT NOT NULL,
  submission_id TEXT NOT NULL,
  site_id TEXT NOT NULL,
  received_at INTEGER NOT NULL,
  content_sha256 BLOB NOT NULL,
  content_bytes INTEGER NOT NULL,
  -- Why, how often and since when the submission was in quarantine.
  quarantine_reason TEXT NOT NULL,
  tries INTEGER NOT NULL,
  quarantined_at INTEGER NOT NULL,
  -- 1 if the submission was damaged in this file.
  damaged INTEGER NOT NULL,
  reason TEXT NOT NULL,
  discarded_by TEXT NOT NULL,
  discarded_at INTEGER NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS discarded_by_id
  ON discarded (submission_id, study_id);
)sql";

const char kDiscardedColumns[] =
    "number, sequence, method, kind, study_id, submission_id, site_id,"
    " received_at, content_sha256, content_bytes, quarantine_reason, tries,"
    " quarantined_at, damaged, reason, discarded_by, discarded_at";

Discarded ReadDiscarded(const SqliteRun& row) {
  Discarded discarded;
  Quarantined& entry = discarded.quarantined;
  discarded.number = row.IntegerAt(0);
  entry.submission.sequence = row.IntegerAt(1);
  entry.method = row.TextAt(2);
  entry.submission.kind =
      ParseKind(row.TextAt(3)).value_or(SubmissionKind::kQuestionnaireResponse);
  entry.submission.study_id = row.TextAt(4);
  entry.submission.submission_id = row.TextAt(5);
  entry.submission.site_id = row.TextAt(6);
  entry.submission.received_at = absl::FromUnixMicros(row.IntegerAt(7));
  entry.submission.content_sha256 =
      ParseDigest(row.BlobAt(8)).value_or(Sha256Digest());
  discarded.content_bytes = row.IntegerAt(9);
  entry.reason = row.TextAt(10);
  entry.tries = static_cast<int>(row.IntegerAt(11));
  entry.quarantined_at = absl::FromUnixMicros(row.IntegerAt(12));
  entry.damaged = row.IntegerAt(13) != 0;
  discarded.reason = row.TextAt(14);
  discarded.by = row.TextAt(15);
  discarded.at = absl::FromUnixMicros(row.IntegerAt(16));
  return discarded;
}

absl::Status InsertDiscarded(SqliteConnection& db, const Discarded& discarded) {
  SLUICE_DCHECK(db.in_transaction());
  auto statement = db.Prepare(
      "INSERT INTO discarded (sequence, method, kind, study_id, submission_id,"
      " site_id, received_at, content_sha256, content_bytes,"
      " quarantine_reason, tries, quarantined_at, damaged, reason,"
      " discarded_by, discarded_at)"
      " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
  if (!statement.ok()) return statement.status();
  const Quarantined& entry = discarded.quarantined;
  SqliteRun insert(*statement);
  insert.Integer(entry.submission.sequence)
      .Text(entry.method)
      .Text(KindName(entry.submission.kind))
      .Text(entry.submission.study_id)
      .Text(entry.submission.submission_id)
      .Text(entry.submission.site_id)
      .Integer(absl::ToUnixMicros(entry.submission.received_at))
      .Blob(DigestBlob(entry.submission.content_sha256))
      .Integer(discarded.content_bytes)
      .Text(entry.reason)
      .Integer(entry.tries)
      .Integer(absl::ToUnixMicros(entry.quarantined_at))
      .Integer(entry.damaged ? 1 : 0)
      .Text(discarded.reason)
      .Text(discarded.by)
      .Integer(absl::ToUnixMicros(discarded.at));
  return insert.Step().status();
}

}  // namespace sluice
