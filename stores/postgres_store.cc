#include "stores/postgres_store.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/sequence_series.h"
#include "stores/postgres_batch.h"
#include "stores/postgres_commit.h"
#include "stores/postgres_rows.h"
#include "stores/postgres_schema.h"

namespace sluice {
namespace {

// Limit for each step of a Check. Short, because /readyz waits for it.
constexpr absl::Duration kCheckTimeout = absl::Seconds(2);

// Maximum number of submissions on a page, even if more are requested.
constexpr std::size_t kRowsMax = 100'000;

// Tests writing: needs disk space for the table's pages and for the write-ahead
// log.
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

// Returns the number of rows of kFindSizes that fit on a page.
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
  // All statements must see one state of the database. Otherwise a page could
  // lack the gap of a submission that was stored between two statements.
  db.SendQuery("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
  // Read one row more than the page has, to know whether the page is the last.
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
    : options_(options), same_content_(std::move(same_content)) {
  SLUICE_DCHECK(options.server >= 0 &&
                options.server <= PostgresStoreOptions::kServerMax);
}

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
  // Take the server's number first: it excludes a second server with the same
  // number. The schema is created on the session that holds the number.
  const absl::Status taken =
      TakeNumber(PostgresClientTimeout(options_.timeout));
  return taken.ok() ? CreatePostgresSchema(*number_) : taken;
}

// --- The server's number ---

absl::Status PostgresStore::HoldNumber(absl::Duration wait) {
  if (number_.has_value() && number_->Alive()) return absl::OkStatus();
  number_.reset();
  set_last_number(absl::UnavailableError(
      "the server's number in the database is being taken again"));
  absl::Status taken = TakeNumber(wait);
  // At the start, another server with this number is a configuration error.
  // Later the conflict may be temporary, so submissions must not fail
  // permanently.
  if (absl::IsFailedPrecondition(taken)) {
    taken = absl::UnavailableError(taken.message());
  }
  set_last_number(taken);
  return taken;
}

absl::Status PostgresStore::TakeNumber(absl::Duration wait) {
  auto db = OpenPostgresSession(options_.url, options_.timeout, wait);
  if (!db.ok()) return db.status();
  // Wait a little: the server may still be releasing the lock of a session that
  // this process has lost.
  const absl::Status locked = db->Execute(absl::StrCat(
      "SET lock_timeout = '500ms'; SELECT pg_advisory_lock(",
      kPostgresLockClass, ", ", options_.server, "); SET lock_timeout = 0"));
  if (locked.ok()) {
    db->set_timeout(PostgresClientTimeout(options_.timeout));
    number_ = *std::move(db);
    return absl::OkStatus();
  }
  if (!db->Alive()) return locked;
  return absl::FailedPreconditionError(
      absl::StrCat("server: another server uses this database as number ",
                   options_.server, "; each needs a number of its own"));
}

absl::Status PostgresStore::CheckNumber() {
  // A batch that is taking the number may wait for long. Do not wait for it:
  // return the result of the last attempt.
  if (!number_mutex_.TryLock()) return last_number();
  // Unlock also after an exception: workers catch exceptions, and the next
  // batch would hang.
  const absl::Cleanup unlock = [this]() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    number_mutex_.Unlock();
  };
  return HoldNumber(kCheckTimeout);
}

// Saving.

absl::Status PostgresStore::SaveBatch(absl::Span<const Submission> batch,
                                      absl::Span<Saved> saved) {
  SLUICE_DCHECK_EQ(saved.size(), batch.size());
  if (batch.empty()) return absl::OkStatus();
  for (const Submission& submission : batch) {
    const absl::Status ids = CheckPostgresIds(submission);
    if (!ids.ok()) return ids;
  }
  absl::Status status;
  {
    absl::MutexLock lock(&number_mutex_);
    status = HoldNumber(PostgresClientTimeout(options_.timeout));
  }
  if (status.ok()) status = SaveOnAWriter(batch, saved);
  // A rejected batch is no sign that the database is unavailable.
  if (status.ok() || IsTransient(status)) set_last_save_failed(!status.ok());
  return status;
}

absl::Status PostgresStore::SaveOnAWriter(absl::Span<const Submission> batch,
                                          absl::Span<Saved> saved) {
  absl::StatusOr<PostgresConnection> writer = TakeWriter();
  if (!writer.ok()) return writer.status();
  // After an error or an exception, the session may have an open transaction or
  // unread answers. It is then closed, not returned to the pool.
  const absl::Status status =
      PostgresBatch(*writer, batch, saved, same_content_).Save();
  if (status.ok()) {
    ReturnWriter(*std::move(writer));
  } else if (absl::IsUnavailable(status)) {
    CloseIdleWriters();  // other sessions may be dead without knowing it
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
  absl::StatusOr<PostgresConnection> writer = OpenPostgresSession(
      options_.url, options_.timeout, PostgresClientTimeout(options_.timeout));
  if (!writer.ok()) return writer.status();
  const absl::Status prepared = PreparePostgresBatches(*writer);
  if (!prepared.ok()) return prepared;
  return writer;
}

void PostgresStore::ReturnWriter(PostgresConnection writer) {
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

absl::Status PostgresStore::last_number() const {
  absl::MutexLock lock(&state_mutex_);
  return last_number_;
}

void PostgresStore::set_last_number(const absl::Status& status) {
  absl::MutexLock lock(&state_mutex_);
  last_number_ = status;
}

absl::Status PostgresStore::last_read() const {
  absl::MutexLock lock(&state_mutex_);
  return last_read_;
}

void PostgresStore::set_last_read(const absl::Status& status) {
  absl::MutexLock lock(&state_mutex_);
  last_read_ = status;
}

// Reading.

absl::Status PostgresStore::WithReader(ReadFunction read) {
  absl::MutexLock lock(&read_mutex_);
  return WithLockedReader(PostgresClientTimeout(options_.timeout), read);
}

absl::Status PostgresStore::WithLockedReader(absl::Duration wait,
                                             ReadFunction read) {
  // Move the session out, so that an error or an exception closes it: it may
  // have an open transaction, or an unread answer that the next statement would
  // mistake for its own.
  std::optional<PostgresConnection> session =
      std::exchange(reader_, std::nullopt);
  if (session.has_value() && !session->Alive()) session.reset();
  absl::Status status;
  if (!session.has_value()) {
    auto db = OpenPostgresSession(options_.url, options_.timeout, wait);
    status = db.status();
    if (db.ok()) session = *std::move(db);
  }
  if (status.ok()) {
    session->set_timeout(wait);
    status = read(*session);
  }
  if (status.ok()) reader_ = std::move(session);
  // A rejected id is no sign that the database is unavailable.
  set_last_read(IsTransient(status) ? status : absl::OkStatus());
  return status;
}

absl::StatusOr<std::vector<std::optional<StoredReceipt>>>
PostgresStore::FindReceipts(std::string_view study_id,
                            absl::Span<const std::string> submission_ids) {
  std::vector<std::optional<StoredReceipt>> receipts(submission_ids.size());
  // An id with U+0000 is never stored, and PostgreSQL rejects it as a
  // parameter.
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
    return found->rows() == 0 ? absl::OkStatus() : AwaitPostgresReplication(db);
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
  SLUICE_DCHECK_GT(max, 0u);
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
  const absl::Status held = CheckNumber();
  if (!held.ok()) return held;
  const bool probe = last_save_failed();
  // A lookup in progress may hang, so return the results of the last calls.
  // After a failed batch the store is unavailable until a write succeeds.
  if (!read_mutex_.TryLock()) {
    return probe ? absl::UnavailableError("the last batch failed")
                 : last_read();
  }
  // Unlock also after an exception, as in CheckNumber.
  const absl::Cleanup unlock = [this]() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    read_mutex_.Unlock();
  };
  const absl::Status status =
      WithLockedReader(kCheckTimeout, [&](PostgresConnection& db) {
        return db.Execute(probe ? kProbeWriting : "SELECT 1");
      });
  if (probe && status.ok()) set_last_save_failed(false);
  return status;
}

}  // namespace sluice
