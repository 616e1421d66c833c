#include "stores/journal_file.h"

#include <algorithm>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/path.h"
#include "base/sha256.h"
#include "stores/journal_check.h"
#include "stores/journal_discarded.h"
#include "stores/journal_migration.h"
#include "stores/sqlite_file.h"
#include "stores/sqlite_values.h"

namespace sluice {
namespace {

constexpr std::string_view kMeasure =
    "SELECT position, length(content) FROM entries"
    " WHERE position BETWEEN ? AND ? ORDER BY position";
constexpr std::string_view kRemove =
    "DELETE FROM entries WHERE position BETWEEN ? AND ?";

// Finds the sequence number under which the quarantine has a submission.
constexpr std::string_view kFindSame =
    "SELECT sequence FROM quarantine WHERE submission_id = ? AND study_id = ?"
    " AND kind = ? AND content_sha256 = ? AND damaged_at = 0";
constexpr std::string_view kRemoveFromQuarantine =
    "DELETE FROM quarantine WHERE sequence = ?";

// Time that a commit waits for another program, such as a shell, that holds the
// write lock.
constexpr absl::Duration kBusyTimeout = absl::Seconds(1);

// Limits for the entries that one transaction removes (unless it appends more).
constexpr std::int64_t kRemoveEntries = 1024;
constexpr std::int64_t kRemoveBytes = std::int64_t{16} << 20;

// Shrinking copies the used pages, so it pays if most pages are free.
constexpr std::int64_t kShrinkFreePages = 4096;
constexpr std::int64_t kShrinkUsedPages = 512;

// The first version with a state and a state file.
constexpr std::int64_t kFirstVersionWithState = 3;

// The statements that create the tables and the first state of a new journal.
std::string NewJournalSchema() {
  return absl::StrCat(
      kJournalSchema, kDiscardedSchema, "INSERT INTO journal_state VALUES (x'",
      absl::BytesToHexString(EncodeJournalState({.id = NewJournalId()})),
      "');");
}

SqliteFileKind KindOf(const std::string& schema) {
  return {kJournalApplicationId, kJournalVersion, schema.c_str()};
}

// Checks an open file for damage, and migrates an undamaged file to the newest
// version.
absl::Status CheckAndPrepare(SqliteConnection& db,
                             const KnownJournalState& known, bool adopt) {
  const std::string schema = NewJournalSchema();
  const auto version = InspectSqliteFile(db, KindOf(schema));
  if (!version.ok()) return NamingEntries(version.status(), known);
  const bool is_known = known.state && known.state->last_position > 0;
  if (*version == kNewSqliteFile) {
    if (is_known) return MissingEntries("the file has no tables", known, 0);
  } else if (*version < kFirstVersionWithState) {
    // A state file is created only after the migration, so this state file
    // belongs to another journal.
    if (is_known && !adopt) {
      return MissingEntries(
          "the file was written by an older version of this program", known, 0);
    }
    const absl::Status structure = CheckStructure(db, known);
    if (!structure.ok()) return structure;
  } else {
    const auto in_file = ReadJournalState(db, known);
    if (!in_file.ok()) return in_file.status();
    absl::Status status = CheckNotBehind(*in_file, known);
    if (status.ok()) status = CheckStructure(db, known);
    if (status.ok()) status = CheckCounts(db, *in_file, known);
    if (status.ok() && !adopt) {
      status = CheckBelongTogether(db, *in_file, known);
    }
    if (!status.ok()) return status;
  }
  return NamingEntries(
      PrepareSqliteFile(db, KindOf(schema), *version, JournalMigration(db)),
      known);
}

// Marks submissions that were damaged while they were in quarantine.
absl::Status MarkDamaged(SqliteConnection& db) {
  std::vector<std::int64_t> damaged;
  absl::Status status = db.ForEachRow(
      absl::StrCat("SELECT ", kQuarantineColumns,
                   ", content FROM quarantine WHERE damaged_at = 0"
                   " ORDER BY sequence"),
      [&](const SqliteRun& row) {
        const Quarantined read = ReadQuarantined(row, /*with_content=*/true);
        if (read.damaged) damaged.push_back(read.submission.sequence);
        return true;
      });
  if (!status.ok() || damaged.empty()) return status;
  SqliteTransaction transaction(db);
  status = transaction.Begin(SqliteTransaction::Mode::kWrite);
  for (const std::int64_t sequence : damaged) {
    if (!status.ok()) break;
    std::optional<Quarantined> read;
    status = db.ForEachRow(
        absl::StrCat("SELECT ", kQuarantineColumns,
                     ", content FROM quarantine WHERE sequence = ", sequence),
        [&](const SqliteRun& row) {
          read = ReadQuarantined(row, /*with_content=*/true);
          return false;
        });
    if (!status.ok() || !read) continue;
    status = db.Execute(
        absl::StrCat("DELETE FROM quarantine WHERE sequence = ", sequence)
            .c_str());
    if (status.ok()) status = QuarantineAgainAsDamaged(db, *read);
  }
  return status.ok() ? transaction.Commit() : status;
}

}  // namespace

std::string JournalStatePath(const std::string& path) {
  return path + kStateSuffix;
}

absl::StatusOr<SqliteConnection> CreateJournalFile(
    const std::string& path, absl::Duration busy_timeout) {
  const std::string schema = NewJournalSchema();
  return OpenSqliteFile(path, busy_timeout, KindOf(schema));
}

absl::Status BackUpJournal(const std::string& from, const std::string& to,
                           const CopyPace& pace) {
  const absl::Status copied = CopySqliteDatabase(from, to, pace);
  if (!copied.ok()) return copied;
  // Take the state from the copy. The state file of the journal may be of
  // another moment.
  auto db = SqliteConnection::OpenExisting(to, kBusyTimeout);
  if (!db.ok()) return db.status();
  const auto state = ReadJournalState(*db, {});
  if (!state.ok()) return state.status();
  return JournalStateFile::Open(JournalStatePath(to), *state).status();
}

absl::StatusOr<std::unique_ptr<JournalFile>> JournalFile::Open(
    const std::string& path, const KnownJournalState& known, bool adopt) {
  absl::Status status = CheckFileExists(path, known);
  if (!status.ok()) return status;
  absl::StatusOr<SqliteConnection> db =
      SqliteConnection::Open(path, kBusyTimeout);
  if (!db.ok()) return NamingEntries(db.status(), known);
  // If opening fails, keep the write-ahead log, so that the damage can be
  // examined.
  db->KeepLogOnClose(true);
  status = CheckAndPrepare(*db, known, adopt);
  if (!status.ok()) return status;
  // secure_delete, on in Debian's SQLite, would write zeros to each freed page:
  // as many bytes as appending wrote. A long log is cheaper than a checkpoint,
  // since most entries are forgotten before a checkpoint would copy them.
  status = db->Execute(
      "PRAGMA secure_delete = OFF; PRAGMA wal_autocheckpoint = 2000;"
      "PRAGMA temp_store = MEMORY");
  if (status.ok()) status = MarkDamaged(*db);
  if (!status.ok()) return NamingEntries(status, known);
  absl::StatusOr<JournalState> state = ReadJournalState(*db, known);
  if (!state.ok()) return state.status();
  absl::StatusOr<Statements> statements = Prepare(*db);
  if (!statements.ok()) return NamingEntries(statements.status(), known);
  absl::StatusOr<JournalStateFile> state_file =
      JournalStateFile::Open(JournalStatePath(path), *state);
  if (!state_file.ok()) return state_file.status();
  absl::StatusOr<SqliteFileWatch> files =
      SqliteFileWatch::Start(*db, {JournalStatePath(path), path + kLockSuffix});
  if (!files.ok()) return files.status();
  db->KeepLogOnClose(false);
  return std::unique_ptr<JournalFile>(
      new JournalFile(*std::move(db), *std::move(statements),
                      *std::move(state_file), *std::move(files), *state));
}

absl::StatusOr<JournalFile::Statements> JournalFile::Prepare(
    SqliteConnection& db) {
  auto insert = db.Prepare(kInsertEntry);
  if (!insert.ok()) return insert.status();
  auto read = db.Prepare(
      absl::StrCat("SELECT ", kEntryColumns,
                   " FROM entries WHERE position > ? AND position <= ?"
                   " ORDER BY position"));
  if (!read.ok()) return read.status();
  auto measure = db.Prepare(kMeasure);
  if (!measure.ok()) return measure.status();
  auto remove = db.Prepare(kRemove);
  if (!remove.ok()) return remove.status();
  return Statements{*std::move(insert), *std::move(read), *std::move(measure),
                    *std::move(remove)};
}

absl::StatusOr<std::int64_t> JournalFile::CountDamaged() {
  return db_.QueryInteger(
      "SELECT count(*) FROM quarantine WHERE damaged_at <> 0");
}

absl::StatusOr<std::int64_t> JournalFile::CountDiscarded() {
  return db_.QueryInteger("SELECT count(*) FROM discarded");
}

absl::Status JournalFile::MeasureQuarantine(QuarantineRoom& room) {
  return db_.ForEachRow(
      "SELECT study_id, count(*), sum(length(content)) FROM quarantine"
      " GROUP BY study_id",
      [&](const SqliteRun& row) {
        room.Add(row.TextAt(0), static_cast<std::size_t>(row.IntegerAt(2)),
                 static_cast<std::size_t>(row.IntegerAt(1)));
        return true;
      });
}

absl::Status JournalFile::ReadQuarantinedIds(
    absl::FunctionRef<void(const Quarantined& entry)> visit) {
  return db_.ForEachRow(absl::StrCat("SELECT ", kQuarantineColumns,
                                     " FROM quarantine WHERE damaged_at = 0"),
                        [&](const SqliteRun& row) {
                          visit(ReadQuarantined(row, /*with_content=*/false));
                          return true;
                        });
}

JournalState JournalFile::NextState() const {
  JournalState next = state_;
  ++next.commits;
  return next;
}

absl::Status JournalFile::Begin(SqliteTransaction& transaction) {
  if (!lost_commit_.ok()) return lost_commit_;
  if (files_.failed()) {
    const absl::Status files = files_.Check(db_);
    if (!files.ok()) return files;
  }
  const absl::Status begun = transaction.Begin(SqliteTransaction::Mode::kWrite);
  // Check before the first write: a large transaction writes to the log before
  // its commit, which would hide that the log was cut.
  return begun.ok() && db_.LogWasCut() ? files_.Check(db_) : begun;
}

absl::Status JournalFile::Commit(SqliteTransaction& transaction,
                                 const JournalState& next) {
  // A commit to a log that was cut would write behind the hole, and a later
  // checkpoint would copy the hole into the database file.
  absl::Status committed =
      db_.LogWasCut() ? files_.Check(db_) : absl::OkStatus();
  if (committed.ok()) committed = transaction.Commit();
  if (!committed.ok()) return committed;
  state_ = next;
  // Write the state file only after the commit. The state file must never be
  // ahead of the synced journal.
  state_file_status_ = state_file_.Write(next);
  // Check after the commit: a file may be removed until then. Accept no further
  // commit, because the caller does not know about this one.
  lost_commit_ = files_.Check(db_);
  return lost_commit_;
}

// Appending and removing.

absl::StatusOr<std::vector<PositionRange>> JournalFile::Append(
    absl::Span<const NewJournalEntry> entries, std::int64_t first_position,
    absl::Span<const PositionRange> done) {
  SLUICE_DCHECK(!entries.empty());
  SqliteTransaction transaction(db_);
  absl::Status status = Begin(transaction);
  if (!status.ok()) return status;
  SLUICE_DCHECK_EQ(first_position, state_.last_position + 1);
  std::int64_t bytes = 0;
  for (const NewJournalEntry& entry : entries) {
    bytes += static_cast<std::int64_t>(entry.submission->content.size());
  }
  // Remove more entries than are appended. Otherwise a journal whose backlog
  // was large once would never become small again. Remove before appending,
  // because the last entry contains the state after both.
  JournalState next = NextState();
  const auto count = static_cast<std::int64_t>(entries.size());
  auto removed = RemoveWithin(
      done,
      {std::max(kRemoveEntries, 2 * count), std::max(kRemoveBytes, 2 * bytes)},
      next);
  if (!removed.ok()) return removed.status();
  for (const NewJournalEntry& entry : entries) {
    status = InsertLast(entry, next, /*with_state=*/&entry == &entries.back());
    if (!status.ok()) return status;
  }
  status = Commit(transaction, next);
  if (!status.ok()) return status;
  return removed;
}

absl::StatusOr<std::vector<PositionRange>> JournalFile::Remove(
    absl::Span<const PositionRange> done) {
  SqliteTransaction transaction(db_);
  absl::Status status = Begin(transaction);
  if (!status.ok()) return status;
  JournalState next = NextState();
  auto removed = RemoveWithin(done, {kRemoveEntries, kRemoveBytes}, next);
  if (!removed.ok()) return removed.status();
  // SQLite forgets the highest position together with its row. The state keeps
  // the highest position, so that no position is assigned twice after a
  // restart.
  status = WriteJournalState(db_, next);
  if (status.ok()) status = Commit(transaction, next);
  if (!status.ok()) return status;
  return removed;
}

absl::Status JournalFile::InsertLast(const NewJournalEntry& entry,
                                     JournalState& next, bool with_state) {
  SLUICE_DCHECK(db_.in_transaction());
  SLUICE_DCHECK(Sha256(entry.submission->content) ==
                entry.submission->content_sha256);
  const std::int64_t position = ++next.last_position;
  ++next.entries;
  CountSequence(entry.submission->sequence, series_, next);
  const Sha256Digest row_hash =
      RowHash(position, entry.method, *entry.submission);
  next.chain = NextChain(next.chain, row_hash);
  return InsertEntry(statements_.insert, entry.method, *entry.submission,
                     position, row_hash,
                     with_state ? EncodeJournalState(next) : std::string());
}

absl::StatusOr<std::vector<PositionRange>> JournalFile::RemoveWithin(
    absl::Span<const PositionRange> ranges, Budget budget, JournalState& next) {
  std::vector<PositionRange> removed;
  for (const PositionRange& range : ranges) {
    // The ranges must be ascending and not adjacent, because the caller treats
    // the removed ranges as a prefix of its own ranges.
    SLUICE_DCHECK(removed.empty() || range.first > removed.back().last + 1);
    if (budget.entries <= 0 || budget.bytes <= 0) break;
    const absl::StatusOr<PositionRange> part = PartWithin(range, budget);
    if (!part.ok()) return part.status();
    const absl::Status status = RemoveRange(*part, next);
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

absl::Status JournalFile::RemoveRange(PositionRange range, JournalState& next) {
  SLUICE_DCHECK(db_.in_transaction());
  SLUICE_DCHECK_LE(range.first, range.last);
  SqliteRun remove(statements_.remove);
  const absl::Status removed =
      remove.Integer(range.first).Integer(range.last).Step().status();
  if (removed.ok()) next.entries -= db_.changes();
  return removed;
}

absl::StatusOr<std::vector<EntryRow>> JournalFile::Read(std::int64_t after,
                                                        std::int64_t last,
                                                        std::size_t max_entries,
                                                        std::size_t max_bytes) {
  SLUICE_DCHECK_LT(after, last);
  std::vector<EntryRow> rows;
  std::size_t bytes = 0;
  SqliteRun read(statements_.read);
  read.Integer(after).Integer(last);
  while (rows.empty() || (rows.size() < max_entries && bytes < max_bytes)) {
    const absl::StatusOr<bool> row = read.Step();
    if (!row.ok()) return row.status();
    if (!*row) break;
    rows.push_back(ReadEntry(read, RowVersion::kNewest));
    bytes += rows.back().entry.submission.content.size();
  }
  return rows;
}

absl::StatusOr<EntryRow> JournalFile::ReadAt(std::int64_t position) {
  absl::StatusOr<std::vector<EntryRow>> rows =
      Read(position - 1, position, /*max_entries=*/1, /*max_bytes=*/0);
  if (!rows.ok()) return rows.status();
  if (!rows->empty()) return std::move(rows->front());
  return absl::NotFoundError(
      absl::StrCat("the journal has no entry at position ", position));
}

absl::StatusOr<std::int64_t> JournalFile::VisitReceipts(
    std::int64_t after, std::int64_t last, std::size_t max,
    absl::FunctionRef<void(const UnreadEntry&)> visit) {
  std::size_t visited = 0;
  std::int64_t position = after;
  const absl::Status status = db_.ForEachRow(
      absl::StrCat("SELECT sequence, received_at, content_sha256, study_id,"
                   " submission_id, position FROM entries WHERE position > ",
                   after, " AND position <= ", last,
                   " ORDER BY position LIMIT ", max),
      [&](const SqliteRun& row) {
        ++visited;
        position = row.IntegerAt(5);
        visit({.study_id = row.TextAt(3),
               .submission_id = row.TextAt(4),
               .receipt = {
                   .sequence = row.IntegerAt(0),
                   .received_at = absl::FromUnixMicros(row.IntegerAt(1)),
                   .content_sha256 =
                       ParseDigest(row.BlobAt(2)).value_or(Sha256Digest())}});
        return true;
      });
  if (!status.ok()) return status;
  return visited < max ? last : position;
}

// Quarantine.

absl::StatusOr<std::vector<absl::StatusOr<JournalFile::Added>>>
JournalFile::Quarantine(absl::Span<const UnstorableEntry> entries,
                        absl::Time now, CheckRoom check_room) {
  SqliteTransaction transaction(db_);
  absl::Status status = Begin(transaction);
  if (!status.ok()) return status;
  JournalState next = NextState();
  std::vector<absl::StatusOr<Added>> results;
  results.reserve(entries.size());
  bool changed = false;
  for (const UnstorableEntry& entry : entries) {
    absl::StatusOr<EntryRow> row = ReadAt(entry.position);
    if (row.ok()) {
      const absl::Status room = check_room(*row);
      if (!room.ok()) {
        results.emplace_back(room);
        continue;
      }
    }
    // Copy, compare and remove the entry in one transaction. After a crash the
    // entry is then either in the journal or in quarantine, never in both or in
    // neither.
    const absl::StatusOr<Added> added =
        row.ok() ? CopyIntoQuarantine(*std::move(row), entry, now)
                 : row.status();
    // An error of the disk may already have rolled the transaction back. After
    // any other error CopyIntoQuarantine has changed nothing.
    if (IsTransient(added.status())) return added.status();
    results.push_back(added);
    if (!added.ok()) continue;
    if (*added == Added::kEntry || *added == Added::kDamagedEntry) {
      ++next.quarantined;
    }
    if (*added == Added::kEntry && entry.new_sequence != 0) {
      CountSequence(entry.new_sequence, series_, next);
    }
    status = RemoveRange({entry.position, entry.position}, next);
    if (!status.ok()) return status;
    changed = true;
  }
  if (!changed) return results;
  status = WriteJournalState(db_, next);
  if (status.ok()) status = Commit(transaction, next);
  if (!status.ok()) return status;
  return results;
}

absl::StatusOr<JournalFile::Added> JournalFile::CopyIntoQuarantine(
    EntryRow row, const UnstorableEntry& entry, absl::Time now) {
  if (!row.damage.empty()) {
    const absl::Status copied =
        QuarantineDamaged(db_, std::move(row), state_.last_sequence, now);
    if (!copied.ok()) return copied;
    return Added::kDamagedEntry;
  }
  Quarantined copy = {.method = std::move(row.entry.method),
                      .submission = std::move(row.entry.submission),
                      .reason = entry.reason,
                      .tries = entry.tries,
                      .quarantined_at = now};
  if (entry.new_sequence != 0) {
    absl::StrAppend(&copy.reason, "; its sequence number ",
                    copy.submission.sequence,
                    " belongs to another submission in quarantine");
    copy.submission.sequence = entry.new_sequence;
  }
  const absl::StatusOr<bool> added =
      InsertQuarantined(db_, copy, /*damaged_at=*/0);
  if (!added.ok()) return added.status();
  if (*added) return Added::kEntry;
  return RemoveRepetition(std::move(copy), now);
}

// Ends an entry that was not copied into the quarantine: the quarantine has the
// same submission. Records the entry's sequence number, which would be
// unaccounted for otherwise. ALREADY_EXISTS if another submission in quarantine
// has the sequence number: removing the entry would lose it.
absl::StatusOr<JournalFile::Added> JournalFile::RemoveRepetition(
    Quarantined entry, absl::Time now) {
  ReceivedSubmission& submission = entry.submission;
  auto statement = db_.Prepare(kFindSame);
  if (!statement.ok()) return statement.status();
  SqliteRun find(*statement);
  const std::string_view digest = DigestBlob(submission.content_sha256);
  const absl::StatusOr<bool> found = find.Text(submission.submission_id)
                                         .Text(submission.study_id)
                                         .Text(KindName(submission.kind))
                                         .Blob(digest)
                                         .Step();
  if (!found.ok()) return found.status();
  if (!*found) {
    return absl::AlreadyExistsError(
        absl::StrCat("sequence ", submission.sequence,
                     " belongs to another submission in quarantine"));
  }
  if (find.IntegerAt(0) == submission.sequence) return Added::kNothing;
  const auto bytes = static_cast<std::int64_t>(submission.content.size());
  submission.content.clear();
  const absl::Status recorded =
      InsertDiscarded(db_, {.quarantined = std::move(entry),
                            .content_bytes = bytes,
                            .reason = std::string(kRepeatsQuarantined),
                            .by = std::string(kDiscardedByServer),
                            .at = now});
  if (!recorded.ok()) return recorded;
  return Added::kRepetition;
}

absl::StatusOr<JournalEntry> JournalFile::Release(std::int64_t sequence) {
  SqliteTransaction transaction(db_);
  absl::Status status = Begin(transaction);
  if (!status.ok()) return status;
  absl::StatusOr<Quarantined> taken = TakeOutOfQuarantine(sequence);
  if (!taken.ok()) return taken.status();
  if (taken->damaged) {
    return absl::FailedPreconditionError(
        absl::StrCat("sequence ", sequence,
                     " cannot be retried, because it is not what was"
                     " acknowledged: ",
                     taken->reason));
  }
  JournalState next = NextState();
  --next.quarantined;
  status = InsertLast({taken->method, &taken->submission}, next,
                      /*with_state=*/true);
  if (status.ok()) status = Commit(transaction, next);
  if (!status.ok()) return status;
  JournalEntry entry{.position = next.last_position,
                     .method = std::move(taken->method),
                     .submission = std::move(taken->submission)};
  return entry;
}

absl::StatusOr<Quarantined> JournalFile::TakeOutOfQuarantine(
    std::int64_t sequence) {
  std::optional<Quarantined> found;
  absl::Status status = db_.ForEachRow(
      absl::StrCat("SELECT ", kQuarantineColumns,
                   ", content FROM quarantine WHERE sequence = ", sequence),
      [&](const SqliteRun& row) {
        found = ReadQuarantined(row, /*with_content=*/true);
        return false;
      });
  if (!status.ok()) return status;
  if (!found) {
    return absl::NotFoundError(
        absl::StrCat("nothing in quarantine has sequence ", sequence));
  }
  auto removing = db_.Prepare(kRemoveFromQuarantine);
  if (!removing.ok()) return removing.status();
  status = SqliteRun(*removing).Integer(sequence).Step().status();
  if (!status.ok()) return status;
  return *std::move(found);
}

absl::StatusOr<std::vector<Quarantined>> JournalFile::RemoveQuarantined(
    absl::Span<const std::int64_t> sequences) {
  SqliteTransaction transaction(db_);
  absl::Status status = Begin(transaction);
  if (!status.ok()) return status;
  JournalState next = NextState();
  std::vector<Quarantined> removed;
  for (const std::int64_t sequence : sequences) {
    absl::StatusOr<Quarantined> taken = TakeOutOfQuarantine(sequence);
    if (absl::IsNotFound(taken.status())) continue;
    if (!taken.ok()) return taken.status();
    removed.push_back(*std::move(taken));
    --next.quarantined;
  }
  status = WriteJournalState(db_, next);
  if (status.ok()) status = Commit(transaction, next);
  if (!status.ok()) return status;
  return removed;
}

absl::Status JournalFile::RaiseLastSequence(std::int64_t sequence) {
  SqliteTransaction transaction(db_);
  absl::Status status = Begin(transaction);
  JournalState next = NextState();
  next.last_sequence = sequence;
  if (status.ok()) status = WriteJournalState(db_, next);
  return status.ok() ? Commit(transaction, next) : status;
}

absl::StatusOr<Discarded> JournalFile::Discard(std::int64_t sequence,
                                               std::string_view reason,
                                               std::string_view by,
                                               absl::Time now) {
  SqliteTransaction transaction(db_);
  absl::Status status = Begin(transaction);
  if (!status.ok()) return status;
  absl::StatusOr<Quarantined> taken = TakeOutOfQuarantine(sequence);
  if (!taken.ok()) return taken.status();
  Discarded discarded{
      .quarantined = *std::move(taken),
      .reason = std::string(reason),
      .by = std::string(by),
      .at = now,
  };
  std::string& content = discarded.quarantined.submission.content;
  discarded.content_bytes = static_cast<std::int64_t>(content.size());
  content.clear();
  JournalState next = NextState();
  --next.quarantined;
  status = InsertDiscarded(db_, discarded);
  if (status.ok()) status = WriteJournalState(db_, next);
  if (status.ok()) status = Commit(transaction, next);
  if (!status.ok()) return status;
  return discarded;
}

absl::StatusOr<std::vector<Discarded>> JournalFile::ListDiscarded(
    std::int64_t after, std::size_t max) {
  std::vector<Discarded> all;
  const absl::Status read =
      db_.ForEachRow(absl::StrCat("SELECT ", kDiscardedColumns,
                                  " FROM discarded WHERE number > ", after,
                                  " ORDER BY number"),
                     [&](const SqliteRun& row) {
                       if (all.size() == max) return false;
                       all.push_back(ReadDiscarded(row));
                       return true;
                     });
  if (!read.ok()) return read;
  return all;
}

absl::StatusOr<std::vector<std::optional<Discarded>>>
JournalFile::FindDiscarded(std::string_view study_id,
                           absl::Span<const std::string> submission_ids) {
  auto statement = db_.Prepare(
      absl::StrCat("SELECT ", kDiscardedColumns,
                   " FROM discarded WHERE submission_id = ? AND study_id = ?"
                   " ORDER BY number DESC LIMIT 1"));
  if (!statement.ok()) return statement.status();
  std::vector<std::optional<Discarded>> found(submission_ids.size());
  for (std::size_t i = 0; i < submission_ids.size(); ++i) {
    SqliteRun find(*statement);
    const absl::StatusOr<bool> row =
        find.Text(submission_ids[i]).Text(study_id).Step();
    if (!row.ok()) return row.status();
    if (*row) found[i] = ReadDiscarded(find);
  }
  return found;
}

absl::StatusOr<std::vector<Quarantined>> JournalFile::ListQuarantine(
    std::int64_t after, std::size_t max, bool with_content) {
  auto statement = db_.Prepare(absl::StrCat(
      "SELECT ", kQuarantineColumns, with_content ? ", content" : "",
      " FROM quarantine WHERE sequence > ? ORDER BY sequence LIMIT ?"));
  if (!statement.ok()) return statement.status();
  SqliteRun list(*statement);
  list.Integer(after).Integer(static_cast<std::int64_t>(max));
  std::vector<Quarantined> all;
  while (true) {
    const absl::StatusOr<bool> row = list.Step();
    if (!row.ok()) return row.status();
    if (!*row) return all;
    all.push_back(ReadQuarantined(list, with_content));
  }
}

absl::StatusOr<std::vector<std::optional<Quarantined>>>
JournalFile::FindQuarantined(std::string_view study_id,
                             absl::Span<const std::string> submission_ids) {
  auto statement = db_.Prepare(
      absl::StrCat("SELECT ", kQuarantineColumns,
                   " FROM quarantine WHERE submission_id = ? AND study_id = ?"
                   " ORDER BY sequence"));
  if (!statement.ok()) return statement.status();
  std::vector<std::optional<Quarantined>> found(submission_ids.size());
  for (std::size_t i = 0; i < submission_ids.size(); ++i) {
    SqliteRun find(*statement);
    find.Text(submission_ids[i]).Text(study_id);
    const absl::StatusOr<bool> row = find.Step();
    if (!row.ok()) return row.status();
    if (!*row) continue;
    found[i] = ReadQuarantined(find, /*with_content=*/false);
  }
  return found;
}

absl::Status JournalFile::Probe(bool writing) {
  if (!lost_commit_.ok()) return lost_commit_;
  const absl::Status files = files_.Check(db_);
  if (!files.ok()) return files;
  const absl::Status probed = ProbeSqliteFile(db_, writing, kBusyTimeout);
  if (!probed.ok() || !writing) return probed;
  if (!state_file_status_.ok()) state_file_status_ = state_file_.Write(state_);
  return state_file_status_;
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
