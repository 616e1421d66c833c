#include "stores/journal_rows.h"

#include <cstring>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/sha256.h"
#include "stores/journal_state.h"
#include "stores/sqlite_values.h"

namespace sluice {

// Times are microseconds since 1970. The content is the last column, so that a
// query for the other columns need not read it.
const char kJournalSchema[] = R"sql(
CREATE TABLE entries (
  position INTEGER PRIMARY KEY,
  method TEXT NOT NULL,
  kind TEXT NOT NULL,
  sequence INTEGER NOT NULL,
  study_id TEXT NOT NULL,
  submission_id TEXT NOT NULL,
  site_id TEXT NOT NULL,
  received_at INTEGER NOT NULL,
  sent_at INTEGER,
  content_sha256 BLOB NOT NULL,
  -- Over all columns above.
  row_sha256 BLOB NOT NULL,
  -- In the last entry of a group: the state after the commit of the group.
  state BLOB,
  content BLOB NOT NULL
) STRICT;

CREATE TABLE quarantine (
  sequence INTEGER PRIMARY KEY,
  method TEXT NOT NULL,
  kind TEXT NOT NULL,
  study_id TEXT NOT NULL,
  submission_id TEXT NOT NULL,
  site_id TEXT NOT NULL,
  received_at INTEGER NOT NULL,
  sent_at INTEGER,
  content_sha256 BLOB NOT NULL,
  -- Over all columns above, and damaged_at.
  row_sha256 BLOB NOT NULL,
  reason TEXT NOT NULL,
  tries INTEGER NOT NULL,
  quarantined_at INTEGER NOT NULL,
  -- 0 if the row is as it arrived. Otherwise it was damaged in this file: its
  -- position when that was found, or minus its sequence.
  damaged_at INTEGER NOT NULL,
  content BLOB NOT NULL,
  -- Several contents may have come under one id; each is kept once. A damaged
  -- row does not stand for an undamaged one.
  UNIQUE (submission_id, study_id, kind, content_sha256, damaged_at)
) STRICT;

-- One row: the state after the last commit that appended no entry. Appending
-- writes the state into the last entry instead, which costs no further page.
CREATE TABLE journal_state (state BLOB NOT NULL) STRICT;
)sql";

const char kEntryColumns[] =
    "position, method, kind, sequence, study_id, submission_id, site_id,"
    " received_at, sent_at, content_sha256, row_sha256, content";
const char kEntryColumnsOfVersion1[] =
    "position, method, kind, sequence, study_id, submission_id, site_id,"
    " received_at, sent_at, content_sha256, NULL, content";
const char kInsertEntry[] =
    "INSERT INTO entries (position, method, kind, sequence, study_id,"
    " submission_id, site_id, received_at, sent_at, content_sha256, row_sha256,"
    " state, content) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
const char kQuarantineColumns[] =
    "damaged_at, method, kind, sequence, study_id, submission_id, site_id,"
    " received_at, sent_at, content_sha256, row_sha256, reason, tries,"
    " quarantined_at";
const char kQuarantineColumnsOfVersion1[] =
    "0, method, kind, sequence, study_id, submission_id, site_id,"
    " received_at, sent_at, content_sha256, NULL, reason, tries,"
    " quarantined_at";

namespace {

constexpr std::string_view kInsertQuarantined =
    "INSERT INTO quarantine (sequence, method, kind, study_id, submission_id,"
    " site_id, received_at, sent_at, content_sha256, row_sha256, reason, tries,"
    " quarantined_at, damaged_at, content)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
    " ON CONFLICT DO NOTHING";

// Positions of columns in the SELECTs of entries and of quarantined
// submissions.
constexpr int kHashColumn = 10;
constexpr int kEntryContentColumn = 11;
constexpr int kQuarantinedContentColumn = 14;

// Appends the text after its length. Without the lengths, different lists of
// texts could give the same bytes.
void AppendText(std::string_view text, std::string& bytes) {
  AppendInteger(static_cast<std::int64_t>(text.size()), bytes);
  bytes += text;
}

// Reads the columns that entries and quarantined submissions have in common.
// Returns a description of the damage, or an empty text.
std::string ReadFields(const SqliteRun& row, RowVersion version,
                       std::int64_t& position, std::string& method,
                       ReceivedSubmission& submission) {
  struct Expected {
    int type;
    const char* name;
  };
  static constexpr Expected kColumns[] = {
      {SQLITE_INTEGER, "position"}, {SQLITE_TEXT, "method"},
      {SQLITE_TEXT, "kind"},        {SQLITE_INTEGER, "sequence"},
      {SQLITE_TEXT, "study_id"},    {SQLITE_TEXT, "submission_id"},
      {SQLITE_TEXT, "site_id"},     {SQLITE_INTEGER, "received_at"},
      {SQLITE_INTEGER, "sent_at"},  {SQLITE_BLOB, "content_sha256"},
      {SQLITE_BLOB, "row_sha256"}};
  constexpr int kSentAt = 8;
  std::string damage;
  // Check the types before any value is read, because reading a value may
  // convert its type.
  const bool hashed = version != RowVersion::kVersion1;
  for (int column = 0; column < kHashColumn + (hashed ? 1 : 0); ++column) {
    const int type = row.TypeAt(column);
    if (type == kColumns[column].type) continue;
    if (type == SQLITE_NULL && column == kSentAt) continue;
    damage = absl::StrCat("its ", kColumns[column].name, " is malformed");
  }
  const bool sent = row.TypeAt(kSentAt) != SQLITE_NULL;
  position = row.IntegerAt(0);
  method = row.TextAt(1);
  const std::optional<SubmissionKind> kind = ParseKind(row.TextAt(2));
  if (!kind) damage = "its kind is malformed";
  submission.kind = kind.value_or(SubmissionKind::kQuestionnaireResponse);
  submission.sequence = row.IntegerAt(3);
  submission.study_id = row.TextAt(4);
  submission.submission_id = row.TextAt(5);
  submission.site_id = row.TextAt(6);
  submission.received_at = absl::FromUnixMicros(row.IntegerAt(7));
  if (sent) submission.sent_at = absl::FromUnixMicros(row.IntegerAt(kSentAt));
  const std::optional<Sha256Digest> sha256 = ParseDigest(row.BlobAt(9));
  if (!sha256) damage = "its content_sha256 is malformed";
  submission.content_sha256 = sha256.value_or(Sha256Digest());
  if (damage.empty() && hashed &&
      row.BlobAt(kHashColumn) !=
          DigestBlob(RowHash(position, method, submission))) {
    damage = "its fields do not match their hash";
  }
  return damage;
}

// Reads the content. Returns a description of the damage, or an empty text.
std::string ReadContent(const SqliteRun& row, int column,
                        ReceivedSubmission& submission) {
  const bool malformed = row.TypeAt(column) != SQLITE_BLOB;
  submission.content = row.BlobAt(column);
  if (malformed) return "its content is malformed";
  if (Sha256(submission.content) != submission.content_sha256) {
    return "its content does not match its SHA-256";
  }
  return "";
}

SqliteRun& BindSentAt(const ReceivedSubmission& submission, SqliteRun& run) {
  return submission.sent_at
             ? run.Integer(absl::ToUnixMicros(*submission.sent_at))
             : run.Null();
}

absl::StatusOr<bool> HasSequence(SqliteConnection& db, std::int64_t sequence) {
  const auto count = db.QueryInteger(absl::StrCat(
      "SELECT count(*) FROM quarantine WHERE sequence = ", sequence));
  if (!count.ok()) return count.status();
  return *count > 0;
}

}  // namespace

Sha256Digest RowHash(std::int64_t position, std::string_view method,
                     const ReceivedSubmission& submission) {
  thread_local std::string bytes;
  bytes.clear();
  AppendInteger(position, bytes);
  AppendInteger(submission.sequence, bytes);
  AppendInteger(absl::ToUnixMicros(submission.received_at), bytes);
  AppendInteger(submission.sent_at.has_value() ? 1 : 0, bytes);
  AppendInteger(
      absl::ToUnixMicros(submission.sent_at.value_or(absl::UnixEpoch())),
      bytes);
  bytes += DigestBlob(submission.content_sha256);
  AppendText(KindName(submission.kind), bytes);
  AppendText(method, bytes);
  AppendText(submission.study_id, bytes);
  AppendText(submission.submission_id, bytes);
  AppendText(submission.site_id, bytes);
  return Sha256(bytes);
}

EntryRow ReadEntry(const SqliteRun& row, RowVersion version) {
  EntryRow read;
  read.damage = ReadFields(row, version, read.entry.position, read.entry.method,
                           read.entry.submission);
  const std::string of_content =
      ReadContent(row, kEntryContentColumn, read.entry.submission);
  if (read.damage.empty()) read.damage = of_content;
  return read;
}

absl::Status InsertEntry(SqliteStatement& statement, std::string_view method,
                         const ReceivedSubmission& submission,
                         std::int64_t position, const Sha256Digest& row_hash,
                         std::string_view state) {
  SqliteRun insert(statement);
  insert.Integer(position)
      .Text(method)
      .Text(KindName(submission.kind))
      .Integer(submission.sequence)
      .Text(submission.study_id)
      .Text(submission.submission_id)
      .Text(submission.site_id)
      .Integer(absl::ToUnixMicros(submission.received_at));
  BindSentAt(submission, insert)
      .Blob(DigestBlob(submission.content_sha256))
      .Blob(DigestBlob(row_hash));
  (state.empty() ? insert.Null() : insert.Blob(state)).Blob(submission.content);
  return insert.Step().status();
}

Quarantined ReadQuarantined(const SqliteRun& row, bool with_content,
                            RowVersion version) {
  Quarantined quarantined;
  std::int64_t damaged_at = 0;
  std::string damage = ReadFields(row, version, damaged_at, quarantined.method,
                                  quarantined.submission);
  quarantined.reason = row.TextAt(11);
  quarantined.tries = static_cast<int>(row.IntegerAt(12));
  quarantined.quarantined_at = absl::FromUnixMicros(row.IntegerAt(13));
  if (with_content) {
    const std::string of_content =
        ReadContent(row, kQuarantinedContentColumn, quarantined.submission);
    if (damage.empty()) damage = of_content;
  }
  quarantined.damaged = damaged_at != 0 || !damage.empty();
  if (damaged_at == 0 && !damage.empty()) {
    quarantined.reason =
        absl::StrCat("damaged in quarantine: ", damage,
                     "; was here because: ", quarantined.reason);
  }
  return quarantined;
}

absl::StatusOr<bool> InsertQuarantined(SqliteConnection& db,
                                       const Quarantined& quarantined,
                                       std::int64_t damaged_at) {
  SLUICE_DCHECK(db.in_transaction());
  SLUICE_DCHECK_EQ(quarantined.damaged, damaged_at != 0);
  auto statement = db.Prepare(kInsertQuarantined);
  if (!statement.ok()) return statement.status();
  const ReceivedSubmission& submission = quarantined.submission;
  const Sha256Digest row_hash =
      RowHash(damaged_at, quarantined.method, submission);
  SqliteRun insert(*statement);
  insert.Integer(submission.sequence)
      .Text(quarantined.method)
      .Text(KindName(submission.kind))
      .Text(submission.study_id)
      .Text(submission.submission_id)
      .Text(submission.site_id)
      .Integer(absl::ToUnixMicros(submission.received_at));
  BindSentAt(submission, insert)
      .Blob(DigestBlob(submission.content_sha256))
      .Blob(DigestBlob(row_hash))
      .Text(quarantined.reason)
      .Integer(quarantined.tries)
      .Integer(absl::ToUnixMicros(quarantined.quarantined_at))
      .Integer(damaged_at)
      .Blob(submission.content);
  const absl::StatusOr<bool> ran = insert.Step();
  if (!ran.ok()) return ran.status();
  return db.changes() == 1;
}

absl::Status QuarantineDamaged(SqliteConnection& db, EntryRow row,
                               std::int64_t last_sequence, absl::Time now) {
  SLUICE_DCHECK(!row.damage.empty());
  ReceivedSubmission& submission = row.entry.submission;
  const absl::StatusOr<bool> taken = HasSequence(db, submission.sequence);
  if (!taken.ok()) return taken.status();
  std::string reason =
      absl::StrCat("damaged in the journal's file: ", row.damage);
  if (*taken || submission.sequence <= 0 ||
      submission.sequence > last_sequence) {
    absl::StrAppend(&reason, "; its sequence number cannot be trusted");
    submission.sequence =
        kDamagedSequences + (row.entry.position & (kDamagedSequences / 2 - 1));
  }
  const absl::StatusOr<bool> added =
      InsertQuarantined(db,
                        {.method = std::move(row.entry.method),
                         .submission = std::move(submission),
                         .reason = std::move(reason),
                         .tries = 0,
                         .quarantined_at = now,
                         .damaged = true},
                        row.entry.position != 0 ? row.entry.position : 1);
  if (!added.ok()) return added.status();
  if (*added) return absl::OkStatus();
  return absl::InternalError(absl::StrCat("the damaged entry at position ",
                                          row.entry.position,
                                          " does not fit into the quarantine"));
}

absl::Status QuarantineAgainAsDamaged(SqliteConnection& db,
                                      const Quarantined& quarantined) {
  SLUICE_DCHECK(quarantined.damaged);
  const std::int64_t sequence = quarantined.submission.sequence;
  const absl::StatusOr<bool> added =
      InsertQuarantined(db, quarantined, sequence != 0 ? -sequence : 1);
  if (!added.ok()) return added.status();
  if (*added) return absl::OkStatus();
  return absl::InternalError(
      absl::StrCat("the damaged submission with sequence ", sequence,
                   " does not fit into the quarantine"));
}

}  // namespace sluice
