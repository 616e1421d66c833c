#include "stores/postgres_store.h"

#include <algorithm>
#include <chrono>
#include <limits>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/check.h"
#include "base/clock.h"
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

// How long Check waits for the standbys.
constexpr absl::Duration kStandbyTimeout = absl::Seconds(1);

// Limit for the steps of the start, such as creating the tables.
constexpr absl::Duration kStartTimeout = absl::Seconds(30);

// The server ends a statement before the store's timeout. A client that stops
// waiting first does not know the outcome, and abandons its session.
constexpr double kStatementShare = 0.8;

// A further timeout for each portion of a batch.
constexpr std::size_t kPortionBytes = std::size_t{16} << 20;

// Needs room on disk for the table's pages and for the catalog's log. Does not
// wait for standbys: the session of a probe must come back.
constexpr char kProbeWriting[] =
    "BEGIN; SET LOCAL synchronous_commit = local;"
    " CREATE TEMPORARY TABLE write_probe ON COMMIT DROP AS"
    " SELECT generate_series(1, 2000); COMMIT";

TimePoint After(absl::Duration duration) {
  return std::chrono::steady_clock::now() + ToMonotonic(duration);
}

absl::Duration TimeoutOf(absl::Span<const Submission> batch,
                         absl::Duration timeout) {
  std::size_t bytes = 0;
  for (const Submission& submission : batch) {
    bytes += submission.content.size() + submission.answers_json.size();
  }
  return timeout * static_cast<double>(1 + bytes / kPortionBytes);
}

// The SQLSTATE of a lock that was not free within lock_timeout.
constexpr char kLockNotAvailable[] = "55P03";

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
    : options_(options),
      same_content_(std::move(same_content)),
      sessions_(options.url, options.timeout * kStatementShare) {
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
  const TimePoint deadline = After(kStartTimeout);
  // The number first: it keeps a second server with the same number from
  // writing, and the schema is created on its session.
  absl::StatusOr<PostgresConnection> number = TakeNumber(deadline);
  if (!number.ok()) return number.status();
  const absl::Status created = CreatePostgresSchema(*number);
  if (!created.ok()) return created;
  absl::MutexLock lock(&number_mutex_);
  number_ = *std::move(number);
  return absl::OkStatus();
}

// --- The server's number ---

absl::Status PostgresStore::HoldNumber(bool wait, TimePoint deadline) {
  std::optional<PostgresConnection> lost;
  {
    absl::MutexLock lock(&number_mutex_);
    if (taking_number_ && wait) {
      while (taking_number_ && std::chrono::steady_clock::now() < deadline) {
        SystemClock()->Wait(&number_tried_, &number_mutex_, deadline);
      }
      return last_number_;
    }
    if (taking_number_) return last_number_;
    if (number_.has_value() && number_->Alive()) return absl::OkStatus();
    lost = std::exchange(number_, std::nullopt);
    taking_number_ = true;
    last_number_ = absl::UnavailableError(
        "the server's number in the database is being taken again");
  }
  lost.reset();
  // Also after an exception: workers catch it, and the next batch would hang.
  const absl::Cleanup end = [&] {
    absl::MutexLock lock(&number_mutex_);
    taking_number_ = false;
    number_tried_.SignalAll();
  };
  absl::StatusOr<PostgresConnection> taken = TakeNumber(deadline);
  absl::MutexLock lock(&number_mutex_);
  last_number_ = taken.status();
  // At the start another server with this number is a mistake of the
  // configuration. Later it may pass, so that submissions must not fail for it.
  if (absl::IsFailedPrecondition(last_number_)) {
    last_number_ = absl::UnavailableError(last_number_.message());
  }
  if (taken.ok()) number_ = *std::move(taken);
  return last_number_;
}

absl::StatusOr<PostgresConnection> PostgresStore::TakeNumber(
    TimePoint deadline) {
  absl::StatusOr<PostgresConnection> db = sessions_.Open(deadline);
  if (!db.ok()) return db.status();
  // Wait a little: the server may still be releasing the lock of a session that
  // this process has lost.
  const absl::Status locked = db->Execute(absl::StrCat(
      "SET lock_timeout = '500ms'; SELECT pg_advisory_lock(",
      kPostgresLockClass, ", ", options_.server, "); SET lock_timeout = 0"));
  if (locked.ok()) return db;
  if (PostgresSqlState(locked) != kLockNotAvailable) {
    sessions_.Close(*std::move(db), locked);
    return locked;
  }
  return absl::FailedPreconditionError(
      absl::StrCat("server: another server uses this database as number ",
                   options_.server, "; each needs a number of its own"));
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
  const TimePoint deadline = After(TimeoutOf(batch, options_.timeout));
  absl::Status status = HoldNumber(/*wait=*/true, deadline);
  if (status.ok()) status = SaveOnAWriter(batch, saved, deadline);
  // A batch that is rejected says nothing about the database.
  if (status.ok() || IsTransient(status)) set_last_save_failed(!status.ok());
  return status;
}

absl::Status PostgresStore::SaveOnAWriter(absl::Span<const Submission> batch,
                                          absl::Span<Saved> saved,
                                          TimePoint deadline) {
  using Use = PostgresSessions::Use;
  absl::StatusOr<PostgresConnection> writer =
      sessions_.Take(Use::kWriting, deadline);
  if (!writer.ok()) return writer.status();
  // After an error or an exception, the session may have an open transaction or
  // unread answers. It is then closed, not returned to the pool.
  const absl::Status status =
      PostgresBatch(*writer, batch, saved, same_content_).Save();
  if (status.ok()) {
    sessions_.Return(Use::kWriting, *std::move(writer));
    return status;
  }
  sessions_.Close(*std::move(writer), status);
  // The others may be dead too, without knowing it.
  if (absl::IsUnavailable(status)) sessions_.CloseIdle(Use::kWriting);
  return status;
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

absl::Status PostgresStore::WithReader(ReadFunction read) {
  using Use = PostgresSessions::Use;
  absl::StatusOr<PostgresConnection> session =
      sessions_.Take(Use::kReading, After(options_.timeout));
  if (!session.ok()) return session.status();
  const absl::Status status = read(*session);
  if (status.ok()) {
    sessions_.Return(Use::kReading, *std::move(session));
  } else {
    sessions_.Close(*std::move(session), status);
  }
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

// Readiness.

absl::Status PostgresStore::Check() {
  if (!check_mutex_.TryLock()) {
    absl::MutexLock lock(&state_mutex_);
    return last_check_;
  }
  // Also after an exception: workers catch it, and the next Check would hang.
  const absl::Cleanup unlock = [this]() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    check_mutex_.Unlock();
  };
  const TimePoint deadline = After(kCheckTimeout);
  absl::Status status = HoldNumber(/*wait=*/false, deadline);
  if (status.ok()) status = Probe(deadline);
  absl::MutexLock lock(&state_mutex_);
  last_check_ = status;
  return status;
}

absl::Status PostgresStore::Probe(TimePoint deadline) {
  std::optional<PostgresConnection> session =
      std::exchange(checker_, std::nullopt);
  if (session.has_value() && !session->Alive()) {
    session.reset();
    commit_sent_at_.reset();
  }
  if (commit_sent_at_.has_value()) {
    return AwaitCommit(*std::move(session), deadline);
  }
  if (!session.has_value()) {
    absl::StatusOr<PostgresConnection> opened = sessions_.Open(deadline);
    if (!opened.ok()) return opened.status();
    session = *std::move(opened);
  }
  session->set_deadline(deadline);
  const absl::Status status = ProbeDatabase(*session);
  if (status.ok()) return ProbeStandbys(*std::move(session), deadline);
  sessions_.Close(*std::move(session), status);
  return status;
}

absl::Status PostgresStore::ProbeDatabase(PostgresConnection& db) {
  // After a failed batch the store is unavailable until a write succeeds.
  if (!last_save_failed()) return db.Execute("SELECT 1");
  const absl::Status status = db.Execute(kProbeWriting);
  if (status.ok()) set_last_save_failed(false);
  return status;
}

absl::Status PostgresStore::ProbeStandbys(PostgresConnection session,
                                          TimePoint deadline) {
  const absl::StatusOr<bool> waits = PostgresCommitsWait(session);
  absl::Status status = waits.status();
  if (status.ok() && *waits) status = session.Start(kPostgresCommitMessage);
  if (!status.ok()) {
    sessions_.Close(std::move(session), status);
    return status;
  }
  if (!*waits) {
    checker_ = std::move(session);
    return absl::OkStatus();
  }
  commit_sent_at_ = std::chrono::steady_clock::now();
  return AwaitCommit(std::move(session), deadline);
}

absl::Status PostgresStore::AwaitCommit(PostgresConnection session,
                                        TimePoint deadline) {
  session.set_deadline(std::min(deadline, After(kStandbyTimeout)));
  const std::optional<absl::Status> answer = session.TakeAnswer();
  if (answer.has_value()) {
    commit_sent_at_.reset();
    if (answer->ok()) {
      checker_ = std::move(session);
    } else {
      sessions_.Close(std::move(session), *answer);
    }
    return *answer;
  }
  const absl::Status status = absl::UnavailableError(
      "commits wait: no synchronous standby of PostgreSQL answers");
  // The session is used again as long as the commit may end: each new one could
  // leave another waiting process. But the server itself may hang.
  if (After(-options_.timeout) < *commit_sent_at_) {
    checker_ = std::move(session);
  } else {
    commit_sent_at_.reset();
    sessions_.Close(std::move(session), status);
  }
  return status;
}

}  // namespace sluice
