#include "stores/sqlite_store.h"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <filesystem>
#include <limits>
#include <system_error>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/path.h"
#include "base/sequence_series.h"
#include "stores/files.h"
#include "stores/nul_text.h"
#include "stores/sqlite_file.h"
#include "stores/sqlite_schema.h"
#include "stores/sqlite_values.h"

namespace sluice {
namespace {

constexpr std::string_view kInsert =
    "INSERT INTO submissions (sequence, kind, study_id, submission_id, site_id,"
    " subject, questionnaire, status, authored, authored_at, sent_at,"
    " received_at, supersedes_submission_id, reason_for_change, content_sha256,"
    " answers, content)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
    " ON CONFLICT DO NOTHING";
constexpr std::string_view kFindReceipt =
    "SELECT sequence, received_at, content_sha256, kind FROM submissions"
    " WHERE submission_id = ? AND study_id = ?";
constexpr std::string_view kReadContent =
    "SELECT content FROM submissions WHERE sequence = ?";
constexpr std::string_view kAudit =
    "INSERT INTO conflicts (sequence, first_sequence, kind, study_id,"
    " submission_id, received_at, sent_at, content_sha256, content_bytes,"
    " content)"
    " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9,"
    "   CASE WHEN NOT EXISTS (SELECT 1 FROM conflicts WHERE first_sequence = ?2"
    "     AND content_sha256 = ?8 AND content IS NOT NULL) THEN ?10 END)"
    " ON CONFLICT (sequence) DO UPDATE SET content = excluded.content"
    "   WHERE content IS NULL AND excluded.content IS NOT NULL"
    "   AND first_sequence = excluded.first_sequence"
    "   AND kind = excluded.kind"
    "   AND content_sha256 = excluded.content_sha256";
constexpr std::string_view kFindGap = "SELECT 1 FROM gaps WHERE sequence = ?";
constexpr std::string_view kInsertGap =
    "INSERT INTO gaps (sequence, reason, first_sequence) VALUES (?, ?, ?)"
    " ON CONFLICT DO NOTHING";
constexpr std::string_view kFindUse =
    " FROM (SELECT ? AS sequence, ? AS reason, ? AS first_sequence,"
    " ? AS kind, ? AS content_sha256) AS r";
constexpr std::string_view kKeepReported =
    "INSERT INTO renumbered (sequence, reported_sequence) VALUES (?, ?)"
    " ON CONFLICT DO NOTHING";
constexpr std::string_view kFindOthers =
    "WITH duplicates AS (SELECT sequence FROM gaps"
    "   WHERE first_sequence = ?1 AND reason = 'duplicate'"
    "   ORDER BY sequence LIMIT ?2)"
    " SELECT sequence FROM duplicates"
    " UNION SELECT reported_sequence FROM renumbered WHERE sequence = ?1"
    " UNION SELECT n.reported_sequence FROM duplicates AS d"
    "   JOIN renumbered AS n ON n.sequence = d.sequence"
    " ORDER BY 1 LIMIT ?2";
constexpr std::string_view kRead =
    "SELECT sequence, received_at, content_sha256, kind, study_id,"
    " submission_id, site_id, subject, questionnaire, status, authored,"
    " authored_at, sent_at, supersedes_submission_id, reason_for_change,"
    " answers, length(content), content FROM submissions WHERE sequence > ?"
    " ORDER BY sequence";
constexpr std::string_view kReadGaps =
    "SELECT sequence, reason, ifnull(first_sequence, 0) FROM gaps"
    " WHERE sequence > ? AND sequence < ? ORDER BY sequence";
// The highest gap of server 0.
constexpr std::string_view kLastGap =
    "SELECT ifnull(max(sequence), 0) FROM gaps WHERE sequence < 1 << 40";
static_assert(kSeriesBits == 40);
constexpr std::string_view kConflict = "conflict";
constexpr std::string_view kDuplicate = "duplicate";

// Maximum number of submissions in one commit, unless a single batch has more.
constexpr std::size_t kGroupSubmissions = 1024;

// Reads the first four columns of kFindReceipt and kRead. Returns a damaged
// receipt (IsDamaged) if the time, the hash or the kind is malformed.
StoredReceipt ReadReceipt(const SqliteRun& row) {
  StoredReceipt receipt;
  receipt.sequence = row.IntegerAt(0);
  const std::string received_at(row.TextAt(1));
  const std::optional<Sha256Digest> sha256 = ParseDigest(row.BlobAt(2));
  if (!sha256 || !ParseKind(row.TextAt(3)) ||
      !absl::ParseTime(absl::RFC3339_full, received_at, &receipt.received_at,
                       nullptr)) {
    receipt.received_at = absl::InfinitePast();
    return receipt;
  }
  receipt.content_sha256 = *sha256;
  return receipt;
}

// Reads a time. Returns false if the column is neither a time nor NULL.
bool ReadTime(const SqliteRun& row, int column,
              std::optional<absl::Time>& time) {
  if (row.IsNullAt(column)) return true;
  return absl::ParseTime(absl::RFC3339_full, std::string(row.TextAt(column)),
                         &time.emplace(), nullptr);
}

// Reads a row of kRead. If a value is malformed, the hash is left zero, so that
// it does not match the content.
Submission ReadSubmission(const SqliteRun& row) {
  const StoredReceipt receipt = ReadReceipt(row);
  const std::optional<SubmissionKind> kind = ParseKind(row.TextAt(3));
  Submission submission;
  submission.kind = kind.value_or(SubmissionKind::kQuestionnaireResponse);
  submission.sequence = receipt.sequence;
  if (!IsDamaged(receipt)) submission.received_at = receipt.received_at;
  submission.study_id = row.TextAt(4);
  submission.submission_id = row.TextAt(5);
  submission.site_id = row.TextAt(6);
  submission.subject = row.TextAt(7);
  submission.questionnaire = row.TextAt(8);
  submission.status = row.TextAt(9);
  submission.authored = row.TextAt(10);
  submission.supersedes_submission_id = row.TextAt(13);
  submission.reason_for_change = row.TextAt(14);
  submission.answers_json = row.TextAt(15);
  submission.content = row.BlobAt(17);
  if (kind.has_value() && ReadTime(row, 11, submission.authored_at) &&
      ReadTime(row, 12, submission.sent_at)) {
    submission.content_sha256 = receipt.content_sha256;
  }
  return submission;
}

}  // namespace

absl::StatusOr<std::unique_ptr<SqliteStore>> SqliteStore::Open(
    const SqliteStoreOptions& options, SameContent same_content,
    const KnownStore& known) {
  absl::StatusOr<ClaimedFile> file = ClaimSqliteFile(options.path);
  if (!file.ok()) return file.status();
  // Check before the file is opened, because opening creates it.
  const absl::StatusOr<bool> is_new =
      IsNewSqliteStore(file->path, options.busy_timeout);
  if (!is_new.ok()) return NamingFile(is_new.status(), options.path);
  if (*is_new && !known.known_by.empty() && !known.accept_damage) {
    std::error_code error;
    const bool exists = std::filesystem::exists(file->path, error);
    return NamingFile(
        MissingStore(exists ? "the file is empty: it has no tables"
                            : "the file is missing",
                     known),
        options.path);
  }
  SqliteStoreOptions resolved = options;
  resolved.path = file->path;
  absl::StatusOr<Writer> writer = OpenWriter(resolved);
  if (!writer.ok()) return NamingFile(writer.status(), options.path);
  absl::StatusOr<Reader> reader = OpenReader(resolved);
  if (!reader.ok()) return NamingFile(reader.status(), options.path);
  absl::StatusOr<PageReader> page_reader = OpenPageReader(resolved);
  if (!page_reader.ok()) return NamingFile(page_reader.status(), options.path);
  return std::unique_ptr<SqliteStore>(new SqliteStore(
      std::move(file->lock), resolved, std::move(same_content), *is_new,
      *std::move(writer), *std::move(reader), *std::move(page_reader)));
}

absl::StatusOr<SqliteStore::Writer> SqliteStore::OpenWriter(
    const SqliteStoreOptions& options) {
  auto db = OpenSqliteForWriting(options.path, options.busy_timeout);
  if (!db.ok()) return db.status();
  auto insert = db->Prepare(kInsert);
  if (!insert.ok()) return insert.status();
  auto find_first = db->Prepare(kFindReceipt);
  if (!find_first.ok()) return find_first.status();
  auto read_content = db->Prepare(kReadContent);
  if (!read_content.ok()) return read_content.status();
  auto audit = db->Prepare(kAudit);
  if (!audit.ok()) return audit.status();
  auto find_gap = db->Prepare(kFindGap);
  if (!find_gap.ok()) return find_gap.status();
  auto insert_gap = db->Prepare(kInsertGap);
  if (!insert_gap.ok()) return insert_gap.status();
  auto find_use = db->Prepare(
      absl::StrCat("SELECT ", kSequenceUse,
                   absl::string_view(kFindUse.data(), kFindUse.size())));
  if (!find_use.ok()) return find_use.status();
  auto keep_reported = db->Prepare(kKeepReported);
  if (!keep_reported.ok()) return keep_reported.status();
  const auto last_gap = db->QueryInteger(kLastGap);
  if (!last_gap.ok()) return last_gap.status();
  auto files = SqliteFileWatch::Start(*db, {options.path + kLockSuffix});
  if (!files.ok()) return files.status();
  return Writer{.db = *std::move(db),
                .files = *std::move(files),
                .insert = *std::move(insert),
                .find_first = *std::move(find_first),
                .read_content = *std::move(read_content),
                .audit = *std::move(audit),
                .find_gap = *std::move(find_gap),
                .insert_gap = *std::move(insert_gap),
                .find_use = *std::move(find_use),
                .keep_reported = *std::move(keep_reported),
                .last_gap = *last_gap};
}

absl::StatusOr<SqliteStore::Reader> SqliteStore::OpenReader(
    const SqliteStoreOptions& options) {
  auto db = OpenSqliteForReading(options.path, options.busy_timeout);
  if (!db.ok()) return db.status();
  auto find_receipt = db->Prepare(kFindReceipt);
  if (!find_receipt.ok()) return find_receipt.status();
  auto find_others = db->Prepare(kFindOthers);
  if (!find_others.ok()) return find_others.status();
  return Reader{*std::move(db), *std::move(find_receipt),
                *std::move(find_others)};
}

absl::StatusOr<SqliteStore::PageReader> SqliteStore::OpenPageReader(
    const SqliteStoreOptions& options) {
  auto db = OpenSqliteForReading(options.path, options.busy_timeout);
  if (!db.ok()) return db.status();
  auto read = db->Prepare(kRead);
  if (!read.ok()) return read.status();
  auto read_gaps = db->Prepare(kReadGaps);
  if (!read_gaps.ok()) return read_gaps.status();
  return PageReader{*std::move(db), *std::move(read), *std::move(read_gaps)};
}

SqliteStore::SqliteStore(FileLock lock, const SqliteStoreOptions& options,
                         SameContent same_content, bool created, Writer writer,
                         Reader reader, PageReader page_reader)
    : lock_(std::move(lock)),
      path_(options.path),
      busy_timeout_(options.busy_timeout),
      same_content_(std::move(same_content)),
      created_(created),
      files_(writer.files.files()),
      writer_(std::move(writer)),
      reader_(std::move(reader)),
      page_reader_(std::move(page_reader)),
      registry_(
          [this](SqliteRegistry::Statements reads) { return Read(reads); },
          [this](SqliteRegistry::Statements writes) { return Write(writes); }) {
}

absl::Status SqliteStore::SaveBatch(absl::Span<const Submission> batch,
                                    absl::Span<Saved> saved) {
  SLUICE_DCHECK_EQ(saved.size(), batch.size());
  if (batch.empty()) return absl::OkStatus();
  PendingBatch mine{.batch = batch, .saved = saved};
  return Commit(mine);
}

absl::Status SqliteStore::Write(SqliteRegistry::Statements statements) {
  PendingBatch mine{.statements = &statements};
  return Commit(mine);
}

absl::Status SqliteStore::Read(SqliteRegistry::Statements statements) {
  absl::MutexLock lock(&read_mutex_);
  SqliteTransaction transaction(reader_.db);
  const absl::Status begun = transaction.Begin(SqliteTransaction::Mode::kRead);
  return begun.ok() ? statements(reader_.db) : begun;
}

absl::Status SqliteStore::Commit(PendingBatch& mine) {
  WaitForTurn(mine);
  if (!mine.done) {
    absl::MutexLock lock(&write_mutex_);
    // `mine` is on the stack, so remove this batch from the queue before its
    // thread returns, even after an exception such as bad_alloc. The rest of
    // the group then fails too.
    std::size_t batches = 1;
    const absl::Cleanup finish = [this, &batches] { Finish(batches); };
    Group group = FirstInQueue();
    batches = group.size();
    const absl::Status begun = SaveGroup(std::move(group));
    // Fail all batches in the queue, because all have waited for the same lock.
    // If each group waited again, the last group would wait for the sum of all
    // waits.
    if (!begun.ok()) batches = FailQueue(begun);
  }
  if (mine.thrown != nullptr) std::rethrow_exception(mine.thrown);
  return mine.status;
}

void SqliteStore::WaitForTurn(PendingBatch& mine) {
  absl::MutexLock lock(&queue_mutex_);
  queue_.push_back(&mine);
  // The first batch stays in the queue while it is committed. Only one thread
  // commits at a time, and batches that arrive meanwhile wait to share the next
  // commit.
  const auto is_my_turn = [&] {
    queue_mutex_.AssertReaderHeld();
    return mine.done || queue_.front() == &mine;
  };
  queue_mutex_.Await(absl::Condition(&is_my_turn));
}

SqliteStore::Group SqliteStore::FirstInQueue() const {
  absl::MutexLock lock(&queue_mutex_);
  SLUICE_DCHECK(!queue_.empty());
  Group group;
  std::size_t submissions = 0;
  for (PendingBatch* pending : queue_) {
    submissions += pending->batch.size();
    // A batch above the limit forms a group alone.
    if (submissions > kGroupSubmissions && !group.empty()) break;
    group.push_back(pending);
  }
  return group;
}

void SqliteStore::Finish(std::size_t batches) {
  absl::MutexLock lock(&queue_mutex_);
  SLUICE_DCHECK(batches > 0 && batches <= queue_.size());
  for (; batches > 0; --batches) {
    // As soon as the lock is released, the batch's thread may return from
    // SaveBatch and destroy the batch.
    queue_.front()->done = true;
    queue_.pop_front();
  }
}

std::size_t SqliteStore::FailQueue(const absl::Status& status) {
  absl::MutexLock lock(&queue_mutex_);
  for (PendingBatch* pending : queue_) pending->status = status;
  return queue_.size();
}

std::size_t SqliteStore::batches_in_progress() const {
  absl::MutexLock lock(&queue_mutex_);
  return queue_.size();
}

absl::Status SqliteStore::SaveGroup(Group group) {
  SLUICE_DCHECK(!group.empty());
  // If an error concerns one batch, roll back and save only the other batches
  // again. Such errors are rare, so this costs less than a savepoint for each
  // batch.
  while (!group.empty()) {
    PendingBatch* failed = nullptr;
    bool begun = false;
    const absl::Status status = SaveInOneTransaction(group, begun, failed);
    // A transient error concerns the file, so trying again with fewer batches
    // would only take longer.
    if (failed == nullptr || IsTransient(status)) {
      for (PendingBatch* pending : group) pending->status = status;
      set_last_save(status);
      return begun ? absl::OkStatus() : status;
    }
    failed->status = status;
    std::erase(group, failed);
  }
  return absl::OkStatus();
}

absl::Status SqliteStore::SaveInOneTransaction(const Group& group, bool& begun,
                                               PendingBatch*& failed) {
  // Write nothing to files that were removed or replaced.
  absl::Status begins =
      writer_.files.failed() ? CheckFilesLocked() : absl::OkStatus();
  SqliteTransaction transaction(writer_.db);
  if (begins.ok()) begins = transaction.Begin(SqliteTransaction::Mode::kWrite);
  // Check before the first write: a large transaction writes to the log before
  // its commit, which would hide that the log was cut.
  if (begins.ok() && writer_.db.LogWasCut()) begins = CheckFilesLocked();
  begun = begins.ok();
  if (!begun) return begins;
  for (PendingBatch* pending : group) {
    const absl::Status status = SaveEach(*pending);
    if (status.ok()) continue;
    failed = pending;
    return status;
  }
  // A commit to a log that was cut would write behind the hole, and a later
  // checkpoint would copy the hole into the database file.
  absl::Status committed =
      writer_.db.LogWasCut() ? CheckFilesLocked() : absl::OkStatus();
  if (committed.ok()) committed = transaction.Commit();
  // Check after the commit: a file may be removed until then.
  return committed.ok() ? CheckFilesLocked() : committed;
}

absl::Status SqliteStore::SaveEach(PendingBatch& pending) {
  // This thread also commits for other threads. Pass an exception of a batch to
  // the thread of that batch.
  try {
    if (pending.statements != nullptr) return (*pending.statements)(writer_.db);
    for (std::size_t i = 0; i < pending.batch.size(); ++i) {
      absl::StatusOr<Saved> one = Save(pending.batch[i]);
      if (!one.ok()) return one.status();
      pending.saved[i] = *one;
    }
  } catch (...) {
    pending.thrown = std::current_exception();
    return absl::InternalError("an exception ended the batch");
  }
  return absl::OkStatus();
}

absl::StatusOr<Saved> SqliteStore::Save(const Submission& submission) {
  const absl::StatusOr<bool> inserted = Insert(submission);
  if (!inserted.ok()) return inserted.status();
  absl::StatusOr<Saved> saved =
      Saved{.result = Saved::Result::kStored,
            .sequence = submission.sequence,
            .received_at = ToMicroseconds(submission.received_at),
            .content_sha256 = submission.content_sha256};
  if (!*inserted) saved = CompareWithFirst(submission);
  if (!saved.ok() || submission.reported_sequence == 0 ||
      saved->result == Saved::Result::kSequenceTaken) {
    return saved;
  }
  const absl::Status kept = KeepReported(submission);
  if (!kept.ok()) return kept;
  return saved;
}

absl::Status SqliteStore::KeepReported(const Submission& submission) {
  return SqliteRun(writer_.keep_reported)
      .Integer(submission.sequence)
      .Integer(submission.reported_sequence)
      .Step()
      .status();
}

absl::StatusOr<bool> SqliteStore::IsGap(std::int64_t sequence) {
  // The numbers of this server usually rise, so most are above all gaps. A
  // condition in the INSERT would be slower: SQLite copies pages for an INSERT
  // with a SELECT, so that it can undo several rows.
  if (sequence > writer_.last_gap && SeriesOf(sequence) == 0) return false;
  SqliteRun find(writer_.find_gap);
  return find.Integer(sequence).Step();
}

absl::StatusOr<bool> SqliteStore::Insert(const Submission& submission) {
  SLUICE_DCHECK(writer_.db.in_transaction());
  const absl::StatusOr<bool> is_gap = IsGap(submission.sequence);
  if (!is_gap.ok()) return is_gap.status();
  if (*is_gap) return false;
  const std::string authored_at = TimeText(submission.authored_at);
  const std::string sent_at = TimeText(submission.sent_at);
  const std::string received_at = TimeText(submission.received_at);
  // SQLite's JSON functions cut a text at U+0000.
  std::string replaced;
  if (HasNulInJson(submission.answers_json)) {
    replaced = ReplaceNulInJson(submission.answers_json);
  }
  const std::string& answers =
      replaced.empty() ? submission.answers_json : replaced;
  SqliteRun insert(writer_.insert);
  insert.Integer(submission.sequence)
      .Text(KindName(submission.kind))
      .Text(submission.study_id)
      .Text(submission.submission_id)
      .TextOrNull(submission.site_id)
      .TextOrNull(submission.subject)
      .TextOrNull(submission.questionnaire)
      .TextOrNull(submission.status)
      .TextOrNull(submission.authored)
      .TextOrNull(authored_at)
      .TextOrNull(sent_at)
      .Text(received_at)
      .TextOrNull(submission.supersedes_submission_id)
      .TextOrNull(submission.reason_for_change)
      .Blob(DigestBlob(submission.content_sha256))
      .Text(answers)
      .Blob(submission.content);
  const absl::StatusOr<bool> ran = insert.Step();
  if (!ran.ok()) return ran.status();
  // ON CONFLICT DO NOTHING changes no row if the id or the sequence number is
  // taken.
  return writer_.db.changes() == 1;
}

absl::StatusOr<Saved> SqliteStore::CompareWithFirst(
    const Submission& submission) {
  SqliteRun find(writer_.find_first);
  find.Text(submission.submission_id).Text(submission.study_id);
  const absl::StatusOr<bool> found = find.Step();
  if (!found.ok()) return found.status();
  // The insert failed although the id is free, so the sequence number must be
  // taken.
  if (!*found) return Saved{.result = Saved::Result::kSequenceTaken};
  const StoredReceipt first = ReadReceipt(find);
  // This error concerns the submission alone, and other submissions of the
  // batch are stored.
  if (IsDamaged(first)) {
    return absl::InternalError(
        absl::StrCat("the row of submission ", first.sequence, " is damaged"));
  }

  absl::StatusOr<bool> same = find.TextAt(3) == KindName(submission.kind);
  if (*same && first.content_sha256 != submission.content_sha256) {
    same = MeansTheSame(submission, first.sequence);
    if (!same.ok()) return same.status();
  }
  const absl::StatusOr<SequenceUse> use =
      FindUse(submission, first.sequence, !*same);
  if (!use.ok()) return use.status();
  if (*use == SequenceUse::kTaken) {
    return Saved{.result = Saved::Result::kSequenceTaken};
  }
  if (*use == SequenceUse::kOwn) {
    const absl::Status kept = KeepGap(submission, first.sequence, !*same);
    if (!kept.ok()) return kept;
  }
  return Saved{
      .result = *same ? Saved::Result::kDuplicate : Saved::Result::kConflict,
      .sequence = first.sequence,
      .received_at = first.received_at,
      .content_sha256 = first.content_sha256,
      .conflict_kept = !*same};
}

absl::StatusOr<bool> SqliteStore::MeansTheSame(const Submission& submission,
                                               std::int64_t first_sequence) {
  SqliteRun read(writer_.read_content);
  read.Integer(first_sequence);
  const absl::StatusOr<bool> found = read.Step();
  if (!found.ok()) return found.status();
  SLUICE_DCHECK(*found);
  return same_content_(submission.kind, read.BlobAt(0), submission.content);
}

absl::StatusOr<SequenceUse> SqliteStore::FindUse(const Submission& submission,
                                                 std::int64_t first_sequence,
                                                 bool conflict) {
  // The stored submission is sent again.
  if (!conflict && submission.sequence == first_sequence) {
    return SequenceUse::kOwn;
  }
  SqliteRun find(writer_.find_use);
  find.Integer(submission.sequence)
      .Text(conflict ? kConflict : kDuplicate)
      .Integer(first_sequence)
      .Text(KindName(submission.kind))
      .Blob(DigestBlob(submission.content_sha256));
  const absl::StatusOr<bool> found = find.Step();
  if (!found.ok()) return found.status();
  return static_cast<SequenceUse>(find.IntegerAt(0));
}

absl::Status SqliteStore::KeepGap(const Submission& submission,
                                  std::int64_t first_sequence, bool conflict) {
  if (conflict) {
    const absl::Status audited = Audit(submission, first_sequence);
    if (!audited.ok()) return audited;
  }
  // The stored submission was sent again with its own sequence number, so there
  // is no gap.
  if (submission.sequence == first_sequence) return absl::OkStatus();
  // If the transaction is rolled back, the value is too high, which only costs
  // some look-ups.
  if (SeriesOf(submission.sequence) == 0) {
    writer_.last_gap = std::max(writer_.last_gap, submission.sequence);
  }
  return SqliteRun(writer_.insert_gap)
      .Integer(submission.sequence)
      .Text(conflict ? kConflict : kDuplicate)
      .Integer(first_sequence)
      .Step()
      .status();
}

absl::Status SqliteStore::Audit(const Submission& refused,
                                std::int64_t first_sequence) {
  const std::string received_at = TimeText(refused.received_at);
  const std::string sent_at = TimeText(refused.sent_at);
  SqliteRun audit(writer_.audit);
  audit.Integer(refused.sequence)
      .Integer(first_sequence)
      .Text(KindName(refused.kind))
      .Text(refused.study_id)
      .Text(refused.submission_id)
      .Text(received_at)
      .TextOrNull(sent_at)
      .Blob(DigestBlob(refused.content_sha256))
      .Integer(static_cast<std::int64_t>(refused.content.size()))
      .Blob(refused.content);
  // If there is a row with this number already, FindUse has made sure that it
  // belongs to this submission, which is saved again after a crash.
  return audit.Step().status();
}

absl::StatusOr<std::vector<std::optional<StoredReceipt>>>
SqliteStore::FindReceipts(std::string_view study_id,
                          absl::Span<const std::string> submission_ids) {
  std::vector<std::optional<StoredReceipt>> receipts;
  receipts.reserve(submission_ids.size());
  absl::MutexLock lock(&read_mutex_);
  SqliteTransaction transaction(reader_.db);
  const absl::Status begun = transaction.Begin(SqliteTransaction::Mode::kRead);
  if (!begun.ok()) return begun;
  for (const std::string& submission_id : submission_ids) {
    SqliteRun find(reader_.find_receipt);
    find.Text(submission_id).Text(study_id);
    const absl::StatusOr<bool> found = find.Step();
    if (!found.ok()) return found.status();
    if (!*found) {
      receipts.emplace_back();
      continue;
    }
    receipts.push_back(ReadReceipt(find));
  }
  return receipts;
}

absl::StatusOr<std::vector<std::vector<std::int64_t>>>
SqliteStore::FindOtherSequences(absl::Span<const std::int64_t> sequences) {
  std::vector<std::vector<std::int64_t>> others(sequences.size());
  const absl::Status status =
      Read([&](SqliteConnection& /*db*/) ABSL_NO_THREAD_SAFETY_ANALYSIS {
        for (std::size_t i = 0; i < sequences.size(); ++i) {
          SqliteRun find(reader_.find_others);
          find.Integer(sequences[i])
              .Integer(static_cast<std::int64_t>(kOtherSequencesMax));
          absl::StatusOr<bool> row = find.Step();
          for (; row.ok() && *row; row = find.Step()) {
            others[i].push_back(find.IntegerAt(0));
          }
          if (!row.ok()) return row.status();
        }
        return absl::OkStatus();
      });
  if (!status.ok()) return status;
  return others;
}

absl::StatusOr<std::int64_t> SqliteStore::LastSequence() {
  absl::MutexLock lock(&read_mutex_);
  // Submissions from the journal of another server keep the numbers of its
  // series.
  return reader_.db.QueryInteger(
      "SELECT max(ifnull((SELECT max(sequence) FROM submissions"
      "   WHERE sequence < 1 << 40), 0),"
      " ifnull((SELECT max(sequence) FROM gaps WHERE sequence < 1 << 40), 0))");
}

absl::StatusOr<StorePage> SqliteStore::Read(std::int64_t after, std::size_t max,
                                            std::size_t max_bytes) {
  SLUICE_DCHECK_GT(max, 0u);
  StorePage page;
  absl::MutexLock lock(&page_mutex_);
  // Read gaps and submissions in one transaction, so that both show the same
  // state.
  SqliteTransaction transaction(page_reader_.db);
  absl::Status status = transaction.Begin(SqliteTransaction::Mode::kRead);
  if (status.ok()) status = ReadSubmissions(after, max, max_bytes, page);
  if (status.ok()) status = ReadGaps(after, page);
  if (!status.ok()) return status;
  return page;
}

absl::Status SqliteStore::ReadSubmissions(std::int64_t after, std::size_t max,
                                          std::size_t max_bytes,
                                          StorePage& page) {
  SqliteRun read(page_reader_.read);
  read.Integer(after);
  std::size_t bytes = 0;
  while (true) {
    // Read one row more than the page has, to know whether the page is the
    // last.
    const absl::StatusOr<bool> row = read.Step();
    if (!row.ok()) return row.status();
    page.last = !*row;
    if (page.last || page.submissions.size() == max) return absl::OkStatus();
    bytes += static_cast<std::size_t>(read.IntegerAt(16));
    if (bytes > max_bytes && !page.submissions.empty()) return absl::OkStatus();
    page.submissions.push_back(ReadSubmission(read));
  }
}

absl::Status SqliteStore::ReadGaps(std::int64_t after, StorePage& page) {
  std::int64_t end = after;
  if (page.last) {
    end = std::numeric_limits<std::int64_t>::max();
  } else if (!page.submissions.empty()) {
    end = page.submissions.back().sequence;
  }
  SqliteRun read(page_reader_.read_gaps);
  read.Integer(after).Integer(end);
  while (true) {
    const absl::StatusOr<bool> row = read.Step();
    if (!row.ok() || !*row) return row.status();
    page.gaps.push_back({.sequence = read.IntegerAt(0),
                         .conflict = read.TextAt(1) == kConflict,
                         .first_sequence = read.IntegerAt(2)});
  }
}

absl::Status SqliteStore::Backup(const std::string& path,
                                 const CopyPace& pace) {
  // Check before the copy: opening a file that has replaced the store could
  // damage both. Check again after it: the copy of such a file is no backup of
  // the store.
  absl::Status status = CheckFiles();
  if (status.ok()) status = CopySqliteDatabase(path_, path, pace);
  return status.ok() ? CheckFiles() : status;
}

absl::Status SqliteStore::CheckFilesLocked() {
  const absl::Status status = writer_.files.Check(writer_.db);
  files_failed_ = writer_.files.failed();
  return status;
}

absl::Status SqliteStore::CheckFiles() {
  absl::MutexLock lock(&write_mutex_);
  return CheckFilesLocked();
}

absl::Status SqliteStore::Check() {
  // A batch in progress may hang, so do not wait for it: return the result of
  // the batch before it.
  if (!write_mutex_.TryLock()) {
    absl::MutexLock lock(&state_mutex_);
    const absl::Status hangs = hang_.Look(std::chrono::steady_clock::now());
    return hangs.ok() ? last_save_ : hangs;
  }
  // After a failed batch, only writing pages to the disk shows whether there is
  // room again.
  const bool writing = !last_save().ok();
  absl::Status status = CheckFilesLocked();
  if (status.ok()) {
    status = ProbeSqliteFile(writer_.db, writing, busy_timeout_);
  }
  if (writing) set_last_save(status);
  {
    absl::MutexLock lock(&state_mutex_);
    hang_.Ended();
  }
  write_mutex_.Unlock();
  return status;
}

std::uint32_t SqliteStore::Generation() {
  // Nothing is saved while a file is not in place, so no result belongs to the
  // second value. If the same files are put back, their content is the same.
  return files_failed_ || !files_.Check().ok() ? 1 : 0;
}

absl::Status SqliteStore::last_save() const {
  absl::MutexLock lock(&state_mutex_);
  return last_save_;
}

void SqliteStore::set_last_save(const absl::Status& status) {
  absl::MutexLock lock(&state_mutex_);
  last_save_ = status;
  hang_.Ended();
}

}  // namespace sluice
