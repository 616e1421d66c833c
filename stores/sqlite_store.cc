#include "stores/sqlite_store.h"

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "stores/sqlite_schema.h"

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
    "INSERT INTO conflicts (first_sequence, kind, study_id, submission_id,"
    " received_at, sent_at, content_sha256, content_bytes)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?)";

// /readyz is not to wait long.
constexpr absl::Duration kProbeBusyTimeout = absl::Milliseconds(100);

std::string_view KindName(SubmissionKind kind) {
  switch (kind) {
    case SubmissionKind::kQuestionnaireResponse:
      return "questionnaire_response";
    case SubmissionKind::kPatientRecord:
      return "patient_record";
    case SubmissionKind::kAppEvent:
      return "app_event";
  }
  return "";
}

absl::Time ToMicroseconds(absl::Time time) {
  return absl::FromUnixMicros(absl::ToUnixMicros(time));
}

std::string TimeText(absl::Time time) {
  return absl::FormatTime("%E4Y-%m-%dT%H:%M:%E6SZ", time, absl::UTCTimeZone());
}

// Empty where there is none, or SQLite's date functions could not read it.
std::string TimeText(const std::optional<absl::Time>& time) {
  static const absl::Time kFirst =
      absl::FromCivil(absl::CivilYear(0), absl::UTCTimeZone());
  static const absl::Time kEnd =
      absl::FromCivil(absl::CivilYear(10000), absl::UTCTimeZone());
  if (!time.has_value() || *time < kFirst || *time >= kEnd) return "";
  return TimeText(*time);
}

std::string_view AsText(const Sha256Digest& digest) {
  return {reinterpret_cast<const char*>(digest.data()), digest.size()};
}

// The first three columns of kFindReceipt.
absl::StatusOr<StoredReceipt> ReadReceipt(const SqliteRun& row) {
  StoredReceipt receipt;
  receipt.sequence = row.IntegerAt(0);
  const std::string received_at(row.TextAt(1));
  const std::string_view sha256 = row.BlobAt(2);
  if (!absl::ParseTime(absl::RFC3339_full, received_at, &receipt.received_at,
                       nullptr) ||
      sha256.size() != receipt.content_sha256.size()) {
    return absl::DataLossError(absl::StrCat("submission ", receipt.sequence,
                                            " has a malformed time or hash"));
  }
  std::ranges::copy(sha256, receipt.content_sha256.begin());
  return receipt;
}

absl::Status Annotate(const absl::Status& status, const std::string& path) {
  return absl::Status(status.code(),
                      absl::StrCat(path, ": ", status.message()));
}

}  // namespace

absl::StatusOr<std::unique_ptr<SqliteStore>> SqliteStore::Open(
    const SqliteStoreOptions& options, SameContent same_content) {
  // SQLite would take a relative path such as `file:x?mode=memory` for a URI.
  SqliteStoreOptions resolved = options;
  std::error_code error;
  const auto path = std::filesystem::absolute(options.path, error);
  if (error) return absl::UnavailableError("cannot tell the working directory");
  resolved.path = path.string();

  const absl::Status directory = CreateDirectories(path.parent_path());
  if (!directory.ok()) return directory;
  absl::StatusOr<FileLock> lock = FileLock::Acquire(resolved.path + ".lock");
  if (!lock.ok()) return Annotate(lock.status(), options.path);
  absl::StatusOr<Writer> writer = OpenWriter(resolved);
  if (!writer.ok()) return Annotate(writer.status(), options.path);
  absl::StatusOr<Reader> reader = OpenReader(resolved);
  if (!reader.ok()) return Annotate(reader.status(), options.path);
  return std::unique_ptr<SqliteStore>(
      new SqliteStore(*std::move(lock), resolved, std::move(same_content),
                      *std::move(writer), *std::move(reader)));
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
  return Writer{*std::move(db), *std::move(insert), *std::move(find_first),
                *std::move(read_content), *std::move(audit)};
}

absl::StatusOr<SqliteStore::Reader> SqliteStore::OpenReader(
    const SqliteStoreOptions& options) {
  auto db = OpenSqliteForReading(options.path, options.busy_timeout);
  if (!db.ok()) return db.status();
  auto find_receipt = db->Prepare(kFindReceipt);
  if (!find_receipt.ok()) return find_receipt.status();
  return Reader{*std::move(db), *std::move(find_receipt)};
}

SqliteStore::SqliteStore(FileLock lock, const SqliteStoreOptions& options,
                         SameContent same_content, Writer writer, Reader reader)
    : lock_(std::move(lock)),
      busy_timeout_(options.busy_timeout),
      same_content_(std::move(same_content)),
      writer_(std::move(writer)),
      reader_(std::move(reader)) {}

absl::Status SqliteStore::SaveBatch(absl::Span<const Submission> batch,
                                    absl::Span<Saved> saved) {
  if (batch.empty()) return absl::OkStatus();
  absl::MutexLock lock(&write_mutex_);
  const absl::Status status = SaveInOneTransaction(batch, saved);
  set_last_save(status);
  return status;
}

absl::Status SqliteStore::SaveInOneTransaction(
    absl::Span<const Submission> batch, absl::Span<Saved> saved) {
  SqliteTransaction transaction(writer_.db);
  const absl::Status begun = transaction.Begin(SqliteTransaction::Mode::kWrite);
  if (!begun.ok()) return begun;
  for (std::size_t i = 0; i < batch.size(); ++i) {
    absl::StatusOr<Saved> one = Save(batch[i]);
    if (!one.ok()) return one.status();
    saved[i] = *one;
  }
  return transaction.Commit();
}

absl::StatusOr<Saved> SqliteStore::Save(const Submission& submission) {
  const absl::StatusOr<bool> inserted = Insert(submission);
  if (!inserted.ok()) return inserted.status();
  if (!*inserted) return CompareWithFirst(submission);
  return Saved{.result = Saved::Result::kStored,
               .sequence = submission.sequence,
               .received_at = ToMicroseconds(submission.received_at),
               .content_sha256 = submission.content_sha256};
}

absl::StatusOr<bool> SqliteStore::Insert(const Submission& submission) {
  const std::string authored_at = TimeText(submission.authored_at);
  const std::string sent_at = TimeText(submission.sent_at);
  const std::string received_at = TimeText(submission.received_at);
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
      .Blob(AsText(submission.content_sha256))
      .Text(submission.answers_json)
      .Blob(submission.content);
  const absl::StatusOr<bool> ran = insert.Step();
  if (!ran.ok()) return ran.status();
  return writer_.db.changes() == 1;
}

absl::StatusOr<Saved> SqliteStore::CompareWithFirst(
    const Submission& submission) {
  SqliteRun find(writer_.find_first);
  find.Text(submission.submission_id).Text(submission.study_id);
  const absl::StatusOr<bool> found = find.Step();
  if (!found.ok()) return found.status();
  if (!*found) {
    return absl::InternalError(absl::StrCat("sequence ", submission.sequence,
                                            " belongs to another submission"));
  }
  const absl::StatusOr<StoredReceipt> first = ReadReceipt(find);
  if (!first.ok()) return first.status();

  absl::StatusOr<bool> same = find.TextAt(3) == KindName(submission.kind);
  if (*same && first->content_sha256 != submission.content_sha256) {
    same = MeansTheSame(submission, first->sequence);
    if (!same.ok()) return same.status();
  }
  if (!*same) {
    const absl::Status audited = Audit(submission, first->sequence);
    if (!audited.ok()) return audited;
  }
  return Saved{
      .result = *same ? Saved::Result::kDuplicate : Saved::Result::kConflict,
      .sequence = first->sequence,
      .received_at = first->received_at,
      .content_sha256 = first->content_sha256};
}

absl::StatusOr<bool> SqliteStore::MeansTheSame(const Submission& submission,
                                               std::int64_t first_sequence) {
  SqliteRun read(writer_.read_content);
  read.Integer(first_sequence);
  const absl::StatusOr<bool> found = read.Step();
  if (!found.ok()) return found.status();
  return same_content_(submission.kind, read.BlobAt(0), submission.content);
}

absl::Status SqliteStore::Audit(const Submission& refused,
                                std::int64_t first_sequence) {
  const std::string received_at = TimeText(refused.received_at);
  const std::string sent_at = TimeText(refused.sent_at);
  SqliteRun audit(writer_.audit);
  audit.Integer(first_sequence)
      .Text(KindName(refused.kind))
      .Text(refused.study_id)
      .Text(refused.submission_id)
      .Text(received_at)
      .TextOrNull(sent_at)
      .Blob(AsText(refused.content_sha256))
      .Integer(static_cast<std::int64_t>(refused.content.size()));
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
    absl::StatusOr<StoredReceipt> receipt = ReadReceipt(find);
    if (!receipt.ok()) return receipt.status();
    receipts.push_back(*receipt);
  }
  return receipts;
}

absl::StatusOr<std::int64_t> SqliteStore::LastSequence() {
  absl::MutexLock lock(&read_mutex_);
  return reader_.db.QueryInteger(
      "SELECT ifnull(max(sequence), 0) FROM submissions");
}

absl::Status SqliteStore::Check() {
  // A batch in progress is not waited for: the one before it tells.
  if (!write_mutex_.TryLock()) return last_save();
  writer_.db.SetBusyTimeout(kProbeBusyTimeout);
  const absl::Status status = ProbeWriting();
  writer_.db.SetBusyTimeout(busy_timeout_);
  write_mutex_.Unlock();
  return status;
}

absl::Status SqliteStore::ProbeWriting() {
  SqliteTransaction transaction(writer_.db);
  const absl::Status begun = transaction.Begin(SqliteTransaction::Mode::kWrite);
  if (!begun.ok() || last_save().ok()) return begun;

  // The last batch failed, so it takes pages on disk to know. Those that it
  // leaves free are used by the next batch.
  absl::Status written = writer_.db.Execute(
      "CREATE TABLE write_probe AS SELECT zeroblob(65536);"
      "DROP TABLE write_probe");
  if (written.ok()) written = transaction.Commit();
  set_last_save(written);
  return written;
}

absl::Status SqliteStore::last_save() const {
  absl::MutexLock lock(&state_mutex_);
  return last_save_;
}

void SqliteStore::set_last_save(const absl::Status& status) {
  absl::MutexLock lock(&state_mutex_);
  last_save_ = status;
}

}  // namespace sluice
