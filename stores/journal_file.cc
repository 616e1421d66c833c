#include "stores/journal_file.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "stores/sqlite_file.h"
#include "stores/sqlite_values.h"

namespace sluice {
namespace {

// Times are microseconds since 1970. The contents are the last column, so that
// reading the other columns skips them.
constexpr char kSchema[] = R"sql(
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
  reason TEXT NOT NULL,
  tries INTEGER NOT NULL,
  quarantined_at INTEGER NOT NULL,
  content BLOB NOT NULL,
  -- Several contents may have come under one id; each is kept once.
  UNIQUE (submission_id, study_id, kind, content_sha256)
) STRICT;

-- One row: a position, so that positions go on after it even where no entry is
-- left. Written when the last entry is removed, not at every commit.
CREATE TABLE positions (last INTEGER NOT NULL) STRICT;
INSERT INTO positions VALUES (0);
)sql";

constexpr std::string_view kInsert =
    "INSERT INTO entries (position, method, kind, sequence, study_id,"
    " submission_id, site_id, received_at, sent_at, content_sha256, content)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
constexpr std::string_view kRead =
    "SELECT method, kind, sequence, study_id, submission_id, site_id,"
    " received_at, sent_at, content_sha256, content, position FROM entries"
    " WHERE position > ? AND position <= ? ORDER BY position";
constexpr std::string_view kMeasure =
    "SELECT position, length(content) FROM entries"
    " WHERE position BETWEEN ? AND ? ORDER BY position";
constexpr std::string_view kRemove =
    "DELETE FROM entries WHERE position BETWEEN ? AND ?";

constexpr std::string_view kIntoQuarantine =
    "INSERT INTO quarantine (sequence, method, kind, study_id, submission_id,"
    " site_id, received_at, sent_at, content_sha256, reason, tries,"
    " quarantined_at, content)"
    " SELECT sequence, method, kind, study_id, submission_id, site_id,"
    " received_at, sent_at, content_sha256, ?, ?, ?, content FROM entries"
    " WHERE position = ? ON CONFLICT DO NOTHING";
// Checks whether the quarantine already has the submission of an entry that was
// not copied into the quarantine.
constexpr std::string_view kCompareWithQuarantined =
    "SELECT e.sequence, q.sequence IS NOT NULL"
    " FROM entries AS e LEFT JOIN quarantine AS q"
    " USING (submission_id, study_id, kind, content_sha256)"
    " WHERE position = ?";
constexpr std::string_view kOutOfQuarantine =
    "INSERT INTO entries (position, method, kind, sequence, study_id,"
    " submission_id, site_id, received_at, sent_at, content_sha256, content)"
    " SELECT ?, method, kind, sequence, study_id, submission_id, site_id,"
    " received_at, sent_at, content_sha256, content FROM quarantine"
    " WHERE sequence = ?";
constexpr std::string_view kRemoveFromQuarantine =
    "DELETE FROM quarantine WHERE sequence = ?";
constexpr std::string_view kListQuarantine =
    "SELECT method, kind, sequence, study_id, submission_id, site_id,"
    " received_at, sent_at, content_sha256, iif(?, content, x''), reason,"
    " tries, quarantined_at FROM quarantine WHERE sequence > ?"
    " ORDER BY sequence LIMIT ?";
constexpr std::string_view kFindQuarantined =
    "SELECT method, kind, sequence, study_id, submission_id, site_id,"
    " received_at, sent_at, content_sha256, x'', reason, tries,"
    " quarantined_at FROM quarantine WHERE submission_id = ? AND study_id = ?"
    " ORDER BY sequence";

// Time that a commit waits for another program, such as a shell, that holds the
// write lock.
constexpr absl::Duration kBusyTimeout = absl::Seconds(1);

// Limits for one part of a replay, and for the entries that one transaction
// removes (unless it appends more).
constexpr std::size_t kReadEntries = 256;
constexpr std::size_t kReadBytes = std::size_t{1} << 20;
constexpr std::int64_t kRemoveEntries = 1024;
constexpr std::int64_t kRemoveBytes = std::int64_t{16} << 20;

// Shrinking copies the used pages, so it pays if most pages are free.
constexpr std::int64_t kShrinkFreePages = 4096;
constexpr std::int64_t kShrinkUsedPages = 512;

absl::Time TimeAt(const SqliteRun& row, int column) {
  return absl::FromUnixMicros(row.IntegerAt(column));
}

// Reads the first ten columns of a row, which all reading statements share.
absl::Status ReadSubmission(const SqliteRun& row, std::string& method,
                            ReceivedSubmission& submission) {
  const std::optional<SubmissionKind> kind = ParseKind(row.TextAt(1));
  const std::optional<Sha256Digest> sha256 = ParseDigest(row.BlobAt(8));
  submission.sequence = row.IntegerAt(2);
  if (!kind || !sha256) {
    return absl::DataLossError(absl::StrCat("in the journal, sequence ",
                                            submission.sequence,
                                            " has a malformed kind or hash"));
  }
  method = row.TextAt(0);
  submission.kind = *kind;
  submission.study_id = row.TextAt(3);
  submission.submission_id = row.TextAt(4);
  submission.site_id = row.TextAt(5);
  submission.received_at = TimeAt(row, 6);
  if (!row.IsNullAt(7)) submission.sent_at = TimeAt(row, 7);
  submission.content_sha256 = *sha256;
  submission.content = row.BlobAt(9);
  return absl::OkStatus();
}

absl::StatusOr<Quarantined> ReadQuarantined(const SqliteRun& row) {
  Quarantined quarantined;
  const absl::Status read =
      ReadSubmission(row, quarantined.method, quarantined.submission);
  if (!read.ok()) return read;
  quarantined.reason = row.TextAt(10);
  quarantined.tries = static_cast<int>(row.IntegerAt(11));
  quarantined.quarantined_at = TimeAt(row, 12);
  return quarantined;
}

}  // namespace

absl::StatusOr<std::unique_ptr<JournalFile>> JournalFile::Open(
    const std::string& path) {
  absl::StatusOr<SqliteConnection> db = OpenSqliteFile(
      path, kBusyTimeout, {kJournalApplicationId, kJournalVersion, kSchema});
  if (!db.ok()) return db.status();
  // secure_delete, on in Debian's SQLite, would write zeros to each freed page:
  // as many bytes as appending wrote. The log may grow long before a
  // checkpoint, since a checkpoint then need not copy the entries that were
  // forgotten meanwhile.
  const absl::Status set = db->Execute(
      "PRAGMA secure_delete = OFF; PRAGMA wal_autocheckpoint = 2000;"
      "PRAGMA temp_store = MEMORY");
  if (!set.ok()) return set;
  absl::StatusOr<Statements> statements = Prepare(*db);
  if (!statements.ok()) return statements.status();
  return std::unique_ptr<JournalFile>(
      new JournalFile(*std::move(db), *std::move(statements)));
}

absl::StatusOr<JournalFile::Statements> JournalFile::Prepare(
    SqliteConnection& db) {
  auto insert = db.Prepare(kInsert);
  if (!insert.ok()) return insert.status();
  auto read = db.Prepare(kRead);
  if (!read.ok()) return read.status();
  auto measure = db.Prepare(kMeasure);
  if (!measure.ok()) return measure.status();
  auto remove = db.Prepare(kRemove);
  if (!remove.ok()) return remove.status();
  return Statements{*std::move(insert), *std::move(read), *std::move(measure),
                    *std::move(remove)};
}

absl::StatusOr<std::int64_t> JournalFile::LastPosition() {
  return db_.QueryInteger(
      "SELECT max(last, ifnull((SELECT max(position) FROM entries), 0))"
      " FROM positions");
}

absl::StatusOr<std::int64_t> JournalFile::LastSequence() {
  return db_.QueryInteger(
      "SELECT max(ifnull((SELECT max(sequence) FROM entries), 0),"
      " ifnull((SELECT max(sequence) FROM quarantine), 0))");
}

absl::StatusOr<std::int64_t> JournalFile::CountQuarantined() {
  return db_.QueryInteger("SELECT count(*) FROM quarantine");
}

// Appending and removing.

absl::StatusOr<std::vector<PositionRange>> JournalFile::Append(
    absl::Span<const NewJournalEntry> entries, std::int64_t first_position,
    absl::Span<const PositionRange> done) {
  SLUICE_DCHECK(!entries.empty());
  SLUICE_DCHECK(first_position > 0);
  SqliteTransaction transaction(db_);
  absl::Status status = transaction.Begin(SqliteTransaction::Mode::kWrite);
  if (!status.ok()) return status;
  std::int64_t bytes = 0;
  for (std::size_t i = 0; i < entries.size(); ++i) {
    const auto offset = static_cast<std::int64_t>(i);
    status = Insert(entries[i], first_position + offset);
    if (!status.ok()) return status;
    bytes += static_cast<std::int64_t>(entries[i].submission->content.size());
  }
  // Remove more than is appended. Otherwise a journal that once had a large
  // backlog would never become small again.
  const auto count = static_cast<std::int64_t>(entries.size());
  auto removed = RemoveWithin(done, {std::max(kRemoveEntries, 2 * count),
                                     std::max(kRemoveBytes, 2 * bytes)});
  if (!removed.ok()) return removed.status();
  status = transaction.Commit();
  if (!status.ok()) return status;
  return removed;
}

absl::StatusOr<std::vector<PositionRange>> JournalFile::Remove(
    absl::Span<const PositionRange> done, std::int64_t last_position) {
  SqliteTransaction transaction(db_);
  absl::Status status = transaction.Begin(SqliteTransaction::Mode::kWrite);
  if (!status.ok()) return status;
  auto removed = RemoveWithin(done, {kRemoveEntries, kRemoveBytes});
  if (!removed.ok()) return removed.status();
  // SQLite forgets the highest position together with its row. Save the
  // position, so that no position is assigned twice after a restart.
  if (!removed->empty() && removed->back().last == last_position) {
    status = RememberPosition(last_position);
    if (!status.ok()) return status;
  }
  status = transaction.Commit();
  if (!status.ok()) return status;
  return removed;
}

absl::Status JournalFile::Insert(const NewJournalEntry& entry,
                                 std::int64_t position) {
  SLUICE_DCHECK(db_.in_transaction());
  const ReceivedSubmission& submission = *entry.submission;
  SqliteRun insert(statements_.insert);
  insert.Integer(position)
      .Text(entry.method)
      .Text(KindName(submission.kind))
      .Integer(submission.sequence)
      .Text(submission.study_id)
      .Text(submission.submission_id)
      .Text(submission.site_id)
      .Integer(absl::ToUnixMicros(submission.received_at));
  if (submission.sent_at) {
    insert.Integer(absl::ToUnixMicros(*submission.sent_at));
  } else {
    insert.Null();
  }
  insert.Blob(DigestBlob(submission.content_sha256)).Blob(submission.content);
  return insert.Step().status();
}

absl::StatusOr<std::vector<PositionRange>> JournalFile::RemoveWithin(
    absl::Span<const PositionRange> ranges, Budget budget) {
  std::vector<PositionRange> removed;
  for (const PositionRange& range : ranges) {
    // The ranges must be ascending and not adjacent, because the caller treats
    // the removed ranges as a prefix of its own ranges.
    SLUICE_DCHECK(removed.empty() || range.first > removed.back().last + 1);
    if (budget.entries <= 0 || budget.bytes <= 0) break;
    const absl::StatusOr<PositionRange> part = PartWithin(range, budget);
    if (!part.ok()) return part.status();
    const absl::Status status = RemoveRange(*part);
    if (!status.ok()) return status;
    removed.push_back(*part);
  }
  return removed;
}

// Returns the first part of the range that fits into the budget, and charges
// the budget. The last entry may exceed the byte limit, because at least one
// entry must always fit.
absl::StatusOr<PositionRange> JournalFile::PartWithin(PositionRange range,
                                                      Budget& budget) {
  SqliteRun measure(statements_.measure);
  measure.Integer(range.first).Integer(range.last);
  while (true) {
    const absl::StatusOr<bool> row = measure.Step();
    if (!row.ok()) return row.status();
    if (!*row) return range;
    --budget.entries;
    budget.bytes -= measure.IntegerAt(1);
    if (budget.entries <= 0 || budget.bytes <= 0) {
      return PositionRange{range.first, measure.IntegerAt(0)};
    }
  }
}

absl::Status JournalFile::RemoveRange(PositionRange range) {
  SLUICE_DCHECK(db_.in_transaction());
  SLUICE_DCHECK_LE(range.first, range.last);
  SqliteRun remove(statements_.remove);
  remove.Integer(range.first).Integer(range.last);
  return remove.Step().status();
}

absl::Status JournalFile::RememberPosition(std::int64_t position) {
  SLUICE_DCHECK(db_.in_transaction());
  return db_.Execute(
      absl::StrCat("UPDATE positions SET last = ", position).c_str());
}

absl::StatusOr<std::vector<JournalEntry>> JournalFile::Read(std::int64_t after,
                                                            std::int64_t last) {
  SLUICE_DCHECK_LT(after, last);
  std::vector<JournalEntry> entries;
  std::size_t bytes = 0;
  SqliteRun read(statements_.read);
  read.Integer(after).Integer(last);
  while (entries.size() < kReadEntries && bytes < kReadBytes) {
    const absl::StatusOr<bool> row = read.Step();
    if (!row.ok()) return row.status();
    if (!*row) break;
    JournalEntry& entry = entries.emplace_back();
    const absl::Status status =
        ReadSubmission(read, entry.method, entry.submission);
    if (!status.ok()) return status;
    entry.position = read.IntegerAt(10);
    bytes += entry.submission.content.size();
  }
  return entries;
}

// Quarantine.

absl::StatusOr<bool> JournalFile::Quarantine(std::int64_t position,
                                             std::string_view reason, int tries,
                                             absl::Time now,
                                             std::int64_t last_position) {
  SqliteTransaction transaction(db_);
  absl::Status status = transaction.Begin(SqliteTransaction::Mode::kWrite);
  if (!status.ok()) return status;
  // The entry is copied, compared and removed in one transaction. After a crash
  // the entry is therefore either in the journal or in quarantine, never in
  // both and never in neither.
  const absl::StatusOr<bool> added =
      CopyIntoQuarantine(position, reason, tries, now);
  if (!added.ok()) return added.status();
  if (!*added) status = IsInQuarantine(position);
  if (status.ok()) status = RemoveRange({position, position});
  if (status.ok() && position == last_position) {
    status = RememberPosition(position);
  }
  if (status.ok()) status = transaction.Commit();
  if (!status.ok()) return status;
  return added;
}

absl::StatusOr<bool> JournalFile::CopyIntoQuarantine(std::int64_t position,
                                                     std::string_view reason,
                                                     int tries,
                                                     absl::Time now) {
  auto statement = db_.Prepare(kIntoQuarantine);
  if (!statement.ok()) return statement.status();
  SqliteRun copy(*statement);
  copy.Text(reason)
      .Integer(tries)
      .Integer(absl::ToUnixMicros(now))
      .Integer(position);
  const absl::StatusOr<bool> ran = copy.Step();
  if (!ran.ok()) return ran.status();
  return db_.changes() == 1;
}

// Returns OK if the entry's submission is in quarantine already. NOT_FOUND if
// there is no such entry. INTERNAL if the entry was not copied because another
// submission in quarantine has its sequence: removing the entry would lose it.
absl::Status JournalFile::IsInQuarantine(std::int64_t position) {
  auto statement = db_.Prepare(kCompareWithQuarantined);
  if (!statement.ok()) return statement.status();
  SqliteRun compare(*statement);
  compare.Integer(position);
  const absl::StatusOr<bool> found = compare.Step();
  if (!found.ok()) return found.status();
  if (!*found) {
    return absl::NotFoundError(
        absl::StrCat("the journal has no entry at position ", position));
  }
  const std::int64_t sequence = compare.IntegerAt(0);
  if (compare.IntegerAt(1) != 0) return absl::OkStatus();
  return absl::InternalError(absl::StrCat(
      "sequence ", sequence, " belongs to another submission in quarantine"));
}

absl::StatusOr<JournalEntry> JournalFile::Release(std::int64_t sequence,
                                                  std::int64_t position) {
  SqliteTransaction transaction(db_);
  absl::Status status = transaction.Begin(SqliteTransaction::Mode::kWrite);
  if (status.ok()) status = CopyOutOfQuarantine(sequence, position);
  if (!status.ok()) return status;
  // Read the entry before the commit: a malformed entry must stay in
  // quarantine.
  absl::StatusOr<std::vector<JournalEntry>> entry =
      Read(position - 1, position);
  if (!entry.ok()) return entry.status();
  SLUICE_DCHECK_EQ(entry->size(), 1u);
  status = transaction.Commit();
  if (!status.ok()) return status;
  return std::move(entry->at(0));
}

absl::Status JournalFile::CopyOutOfQuarantine(std::int64_t sequence,
                                              std::int64_t position) {
  auto copying = db_.Prepare(kOutOfQuarantine);
  if (!copying.ok()) return copying.status();
  const absl::Status copied =
      SqliteRun(*copying).Integer(position).Integer(sequence).Step().status();
  if (!copied.ok()) return copied;
  if (db_.changes() == 0) {
    return absl::NotFoundError(
        absl::StrCat("nothing in quarantine has sequence ", sequence));
  }
  auto removing = db_.Prepare(kRemoveFromQuarantine);
  if (!removing.ok()) return removing.status();
  return SqliteRun(*removing).Integer(sequence).Step().status();
}

absl::StatusOr<std::vector<Quarantined>> JournalFile::ListQuarantine(
    std::int64_t after, std::size_t max, bool with_content) {
  auto statement = db_.Prepare(kListQuarantine);
  if (!statement.ok()) return statement.status();
  SqliteRun list(*statement);
  list.Integer(with_content ? 1 : 0)
      .Integer(after)
      .Integer(
          static_cast<std::int64_t>(std::min(max, Journal::kQuarantineMax)));
  std::vector<Quarantined> all;
  while (true) {
    const absl::StatusOr<bool> row = list.Step();
    if (!row.ok()) return row.status();
    if (!*row) return all;
    absl::StatusOr<Quarantined> one = ReadQuarantined(list);
    if (!one.ok()) return one.status();
    all.push_back(*std::move(one));
  }
}

absl::StatusOr<std::vector<std::optional<Quarantined>>>
JournalFile::FindQuarantined(std::string_view study_id,
                             absl::Span<const std::string> submission_ids) {
  auto statement = db_.Prepare(kFindQuarantined);
  if (!statement.ok()) return statement.status();
  std::vector<std::optional<Quarantined>> found(submission_ids.size());
  for (std::size_t i = 0; i < submission_ids.size(); ++i) {
    SqliteRun find(*statement);
    find.Text(submission_ids[i]).Text(study_id);
    const absl::StatusOr<bool> row = find.Step();
    if (!row.ok()) return row.status();
    if (!*row) continue;
    absl::StatusOr<Quarantined> one = ReadQuarantined(find);
    if (!one.ok()) return one.status();
    found[i] = *std::move(one);
  }
  return found;
}

absl::Status JournalFile::Probe(bool writing) {
  return ProbeSqliteFile(db_, writing, kBusyTimeout);
}

void JournalFile::Shrink() {
  const auto pages = db_.QueryInteger("PRAGMA page_count");
  const auto free = db_.QueryInteger("PRAGMA freelist_count");
  if (!pages.ok() || !free.ok() || *free < kShrinkFreePages ||
      *pages - *free > kShrinkUsedPages) {
    return;
  }
  // Cut the log, as after any failed commit: the pages of the failed VACUUM may
  // still be in the log.
  if (!db_.Execute("VACUUM").ok()) db_.CutLog();
}

}  // namespace sluice
