#include "stores/postgres_store.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "stores/postgres_batch.h"
#include "stores/postgres_rows.h"
#include "stores/postgres_schema.h"
#include "stores/sequence_series.h"

namespace sluice {
namespace {

// /readyz is not to wait long.
constexpr absl::Duration kCheckTimeout = absl::Seconds(2);

// What a page holds at most, whatever is asked for.
constexpr std::size_t kRowsMax = 100'000;

// Both need room on disk: the table's pages, and the catalog's log.
constexpr char kProbeWriting[] =
    "BEGIN; CREATE TEMPORARY TABLE write_probe ON COMMIT DROP AS"
    " SELECT generate_series(1, 2000); COMMIT";

constexpr char kFindSizes[] =
    "SELECT sequence, octet_length(content)::bigint FROM submissions"
    " WHERE sequence > $1::bigint ORDER BY sequence LIMIT $2::bigint";
constexpr char kReadGaps[] =
    "SELECT sequence, reason = 'conflict' FROM gaps"
    " WHERE sequence > $1::bigint AND sequence <= $2::bigint ORDER BY sequence";
constexpr char kLastSequence[] =
    "SELECT greatest("
    " (SELECT max(sequence) FROM submissions"
    "  WHERE sequence >= $1::bigint AND sequence < $2::bigint),"
    " (SELECT max(sequence) FROM gaps"
    "  WHERE sequence >= $1::bigint AND sequence < $2::bigint),"
    " $1::bigint)";

// How many of the rows of kFindSizes go on a page.
int RowsOnPage(const PostgresResult& sizes, std::size_t max,
               std::size_t max_bytes) {
  std::size_t bytes = 0;
  int rows = 0;
  while (rows < sizes.rows() && static_cast<std::size_t>(rows) < max) {
    bytes += static_cast<std::size_t>(sizes.IntegerAt(rows, 1));
    if (rows > 0 && bytes > max_bytes) break;
    ++rows;
  }
  return rows;
}

absl::StatusOr<StorePage> ReadPage(PostgresConnection& db, std::int64_t after,
                                   std::size_t max, std::size_t max_bytes) {
  // One state of the database for all of it.
  db.SendQuery("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
  // One more tells whether there are any after it.
  const std::int64_t limit = static_cast<std::int64_t>(max) + 1;
  db.SendQuery(kFindSizes, {PostgresBigint(after), PostgresBigint(limit)});
  const auto begun = db.Receive();
  if (!begun.ok()) return begun.status();
  const PostgresResult& sizes = begun->back();
  const int rows = RowsOnPage(sizes, max, max_bytes);

  StorePage page;
  page.last = rows == sizes.rows();
  const std::int64_t last = rows == 0 ? after : sizes.IntegerAt(rows - 1, 0);
  const std::int64_t gaps_to =
      page.last ? std::numeric_limits<std::int64_t>::max() : last;
  db.SendQuery(kPostgresReadSubmissions,
               {PostgresBigint(after), PostgresBigint(last)});
  db.SendQuery(kReadGaps, {PostgresBigint(after), PostgresBigint(gaps_to)});
  db.SendQuery("COMMIT");
  const auto results = db.Receive();
  if (!results.ok()) return results.status();
  for (int row = 0; row < (*results)[0].rows(); ++row) {
    page.submissions.push_back(ReadPostgresSubmission((*results)[0], row));
  }
  for (int row = 0; row < (*results)[1].rows(); ++row) {
    page.gaps.push_back({.sequence = (*results)[1].IntegerAt(row, 0),
                         .conflict = (*results)[1].BoolAt(row, 1)});
  }
  return page;
}

}  // namespace

PostgresStore::PostgresStore(const PostgresStoreOptions& options,
                             SameContent same_content)
    : options_(options), same_content_(std::move(same_content)) {}

absl::StatusOr<std::unique_ptr<PostgresStore>> PostgresStore::Open(
    const PostgresStoreOptions& options, SameContent same_content) {
  std::unique_ptr<PostgresStore> store(
      new PostgresStore(options, std::move(same_content)));
  const absl::Status started = store->Start();
  if (!started.ok()) return started;
  return store;
}

absl::Status PostgresStore::Start() {
  absl::MutexLock lock(&number_mutex_);
  const absl::Status taken = TakeNumber();
  return taken.ok() ? CreatePostgresSchema(*number_) : taken;
}

// The server's number.

absl::Status PostgresStore::HoldNumber() {
  absl::MutexLock lock(&number_mutex_);
  if (number_.has_value() && number_->Alive()) return absl::OkStatus();
  number_.reset();
  const absl::Status taken = TakeNumber();
  if (!absl::IsFailedPrecondition(taken)) return taken;
  return absl::UnavailableError(taken.message());
}

absl::Status PostgresStore::TakeNumber() {
  auto db = OpenPostgresSession(options_.url, options_.timeout);
  if (!db.ok()) return db.status();
  // A session that was lost may be about to let go of it.
  const absl::Status locked = db->Execute(absl::StrCat(
      "SET lock_timeout = '500ms'; SELECT pg_advisory_lock(",
      kPostgresLockClass, ", ", options_.server, "); SET lock_timeout = 0"));
  if (locked.ok()) {
    number_ = *std::move(db);
    return absl::OkStatus();
  }
  if (!db->Alive()) return locked;
  return absl::FailedPreconditionError(
      absl::StrCat("server: another server uses this database as number ",
                   options_.server, "; each needs a number of its own"));
}

// Saving.

absl::Status PostgresStore::SaveBatch(absl::Span<const Submission> batch,
                                      absl::Span<Saved> saved) {
  if (batch.empty()) return absl::OkStatus();
  for (const Submission& submission : batch) {
    const absl::Status ids = CheckPostgresIds(submission);
    if (!ids.ok()) return ids;
  }
  absl::Status status = HoldNumber();
  if (status.ok()) status = SaveOnAWriter(batch, saved);
  set_last_save_failed(!status.ok());
  return status;
}

absl::Status PostgresStore::SaveOnAWriter(absl::Span<const Submission> batch,
                                          absl::Span<Saved> saved) {
  absl::StatusOr<PostgresConnection> writer = TakeWriter();
  if (!writer.ok()) return writer.status();
  const absl::Status status =
      PostgresBatch(*writer, batch, saved, same_content_).Save();
  if (status.ok()) {
    GiveBack(*std::move(writer));
  } else if (absl::IsUnavailable(status)) {
    CloseIdleWriters();  // they may be as dead, and not know it
  }
  return status;
}

absl::StatusOr<PostgresConnection> PostgresStore::TakeWriter() {
  while (true) {
    std::optional<PostgresConnection> idle;
    {
      absl::MutexLock lock(&state_mutex_);
      if (idle_writers_.empty()) break;
      idle = std::move(idle_writers_.back());
      idle_writers_.pop_back();
    }
    if (idle->Alive()) return *std::move(idle);
  }
  absl::StatusOr<PostgresConnection> writer =
      OpenPostgresSession(options_.url, options_.timeout);
  if (!writer.ok()) return writer.status();
  const absl::Status prepared = PreparePostgresBatches(*writer);
  if (!prepared.ok()) return prepared;
  return writer;
}

void PostgresStore::GiveBack(PostgresConnection writer) {
  absl::MutexLock lock(&state_mutex_);
  idle_writers_.push_back(std::move(writer));
}

void PostgresStore::CloseIdleWriters() {
  std::vector<PostgresConnection> closing;
  absl::MutexLock lock(&state_mutex_);
  closing.swap(idle_writers_);
}

bool PostgresStore::last_save_failed() const {
  absl::MutexLock lock(&state_mutex_);
  return last_save_failed_;
}

void PostgresStore::set_last_save_failed(bool failed) {
  absl::MutexLock lock(&state_mutex_);
  last_save_failed_ = failed;
}

// Reading.

absl::Status PostgresStore::WithReader(
    absl::FunctionRef<absl::Status(PostgresConnection& db)> read) {
  absl::MutexLock lock(&read_mutex_);
  if (reader_.has_value() && !reader_->Alive()) reader_.reset();
  if (!reader_.has_value()) {
    auto db = OpenPostgresSession(options_.url, options_.timeout);
    if (!db.ok()) return db.status();
    reader_ = *std::move(db);
  }
  const absl::Status status = read(*reader_);
  if (!status.ok()) reader_.reset();
  return status;
}

absl::StatusOr<std::vector<std::optional<StoredReceipt>>>
PostgresStore::FindReceipts(std::string_view study_id,
                            absl::Span<const std::string> submission_ids) {
  std::vector<std::optional<StoredReceipt>> receipts(submission_ids.size());
  // What cannot be stored is not there, and cannot be asked for.
  std::vector<std::size_t> asked;
  for (std::size_t i = 0; i < submission_ids.size(); ++i) {
    if (FitsPostgresText(submission_ids[i])) asked.push_back(i);
  }
  if (asked.empty() || !FitsPostgresText(study_id)) return receipts;

  using Type = PostgresArray::Type;
  PostgresArray ids(Type::kText, asked.size());
  PostgresArray studies(Type::kText, asked.size());
  for (const std::size_t i : asked) {
    ids.Bytes(submission_ids[i]);
    studies.Bytes(study_id);
  }
  const std::vector<std::string> parameters = {std::move(ids).Take(),
                                               std::move(studies).Take()};
  const absl::Status status = WithReader([&](PostgresConnection& db) {
    const auto found = db.Query(kPostgresFindFirst, parameters);
    if (!found.ok()) return found.status();
    for (int row = 0; row < found->rows(); ++row) {
      const auto position = static_cast<std::size_t>(found->IntegerAt(row, 0));
      receipts[asked[position - 1]] = ReadPostgresFirst(*found, row).receipt;
    }
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  return receipts;
}

absl::StatusOr<std::int64_t> PostgresStore::LastSequence() {
  std::int64_t last = 0;
  const absl::Status status = WithReader([&](PostgresConnection& db) {
    const auto found = db.Query(
        kLastSequence, {PostgresBigint(BeginOfSeries(options_.server)),
                        PostgresBigint(BeginOfSeries(options_.server + 1))});
    if (!found.ok()) return found.status();
    last = found->IntegerAt(0, 0);
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  return last;
}

absl::StatusOr<StorePage> PostgresStore::Read(std::int64_t after,
                                              std::size_t max,
                                              std::size_t max_bytes) {
  StorePage page;
  const absl::Status status = WithReader([&](PostgresConnection& db) {
    absl::StatusOr<StorePage> read =
        ReadPage(db, after, std::min(max, kRowsMax), max_bytes);
    if (!read.ok()) return read.status();
    page = *std::move(read);
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  return page;
}

absl::Status PostgresStore::Check() {
  const absl::Status held = HoldNumber();
  if (!held.ok()) return held;
  const bool probe = last_save_failed();
  const absl::Status status = WithReader([&](PostgresConnection& db) {
    db.set_timeout(kCheckTimeout);
    const absl::Status answered =
        db.Execute(probe ? kProbeWriting : "SELECT 1");
    db.set_timeout(options_.timeout);
    return answered;
  });
  if (probe && status.ok()) set_last_save_failed(false);
  return status;
}

}  // namespace sluice
