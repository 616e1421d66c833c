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
#include "stores/nul_text.h"
#include "stores/postgres_batch.h"
#include "stores/postgres_commit.h"
#include "stores/postgres_rows.h"
#include "stores/postgres_schema.h"
#include "stores/postgres_tls.h"

namespace sluice {
namespace {

// Limit for a Check.
constexpr absl::Duration kCheckTimeout = absl::Seconds(2);
static_assert(kCheckTimeout < Store::kCheckMax);

// Maximum number of submissions on a page, even if more are requested.
constexpr std::size_t kRowsMax = 100'000;

// Time that Check waits for the standbys.
constexpr absl::Duration kStandbyTimeout = absl::Seconds(1);

// Time limit of the start. Each transaction of a migration has the same limit.
constexpr absl::Duration kStartTimeout = absl::Seconds(30);

// Share of the store's timeout after which the server ends a statement. The
// server must give up before the client. Otherwise the client would not know
// the outcome and would abandon its session.
constexpr double kStatementShare = 0.8;

// A batch gets one more timeout for each full portion of this size.
constexpr std::size_t kPortionBytes = std::size_t{16} << 20;

// Tests writing: needs disk space for the table's pages and for the write-ahead
// log. Does not wait for standbys, so that the session of a Check never hangs.
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
  const std::size_t portions = 1 + bytes / kPortionBytes;
  return timeout * static_cast<std::int64_t>(portions);
}

// The SQLSTATE of a lock that was not free within lock_timeout.
constexpr char kLockNotAvailable[] = "55P03";

constexpr char kFindSizes[] =
    "SELECT sequence, octet_length(content)::bigint FROM submissions"
    " WHERE sequence > $1::bigint ORDER BY sequence LIMIT $2::bigint";
constexpr char kReadGaps[] =
    "SELECT sequence, reason = 'conflict', coalesce(first_sequence, 0)"
    " FROM gaps"
    " WHERE sequence > $1::bigint AND sequence <= $2::bigint ORDER BY sequence";
constexpr char kFindOthers[] =
    "SELECT i.position, o.sequence"
    " FROM unnest($1::bigint[]) WITH ORDINALITY AS i (first, position),"
    " LATERAL ("
    "   WITH duplicates AS (SELECT sequence FROM gaps"
    "     WHERE first_sequence = i.first AND reason = 'duplicate'"
    "     ORDER BY sequence LIMIT $2::bigint)"
    "   SELECT sequence FROM duplicates"
    "   UNION SELECT reported_sequence FROM renumbered"
    "     WHERE sequence = i.first"
    "   UNION SELECT n.reported_sequence FROM duplicates AS d"
    "     JOIN renumbered AS n ON n.sequence = d.sequence"
    "   ORDER BY 1 LIMIT $2::bigint) AS o"
    " ORDER BY 1, 2";
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
                         .conflict = (*results)[1].BoolAt(row, 1),
                         .first_sequence = (*results)[1].IntegerAt(row, 2)});
  }
  return page;
}

// At the start, another server with this number or an unsuitable database is an
// error of the configuration. Later such an error may be temporary, so
// submissions must not fail permanently.
absl::Status AfterStart(const absl::Status& status) {
  return absl::IsFailedPrecondition(status)
             ? absl::UnavailableError(status.message())
             : status;
}

}  // namespace

PostgresStore::PostgresStore(const PostgresStoreOptions& options,
                             SameContent same_content, StoreLog log)
    : options_(options),
      same_content_(std::move(same_content)),
      sessions_(options.url, options.timeout * kStatementShare),
      durability_(options.require_replication, std::move(log)),
      registry_(
          options.server,
          [this](PostgresRegistry::Use use) { return ReadRegistry(use); },
          [this](PostgresRegistry::Use use) { return WriteRegistry(use); }) {
  SLUICE_DCHECK(options.server >= 0 &&
                options.server <= PostgresStoreOptions::kServerMax);
}

absl::StatusOr<std::unique_ptr<PostgresStore>> PostgresStore::Open(
    const PostgresStoreOptions& options, SameContent same_content, StoreLog log,
    const KnownStore& known) {
  if (const std::string warning = PostgresTlsWarning(options.url);
      log && !warning.empty()) {
    log(StoreSeverity::kWarning, warning);
  }
  std::unique_ptr<PostgresStore> store(
      new PostgresStore(options, std::move(same_content), std::move(log)));
  const absl::Status started = store->Start(known);
  if (!started.ok()) return started;
  return store;
}

absl::Status PostgresStore::Start(const KnownStore& known) {
  const TimePoint deadline = After(kStartTimeout);
  // Take the server's number first: it excludes a second server with the same
  // number. The schema is created on the session that holds the number.
  absl::StatusOr<PostgresConnection> number = TakeNumber(deadline);
  if (!number.ok()) return number.status();
  const absl::StatusOr<PostgresDurability> durability =
      FindPostgresDurability(*number);
  if (!durability.ok()) return durability.status();
  if (!durability->fsync) {
    return absl::FailedPreconditionError(
        "PostgreSQL runs with fsync off: a commit would not be on disk");
  }
  // Settings that endanger commits do not stop the start, because they may
  // change. Until then Check and SaveBatch refuse.
  durability_.Observe(*durability).IgnoreError();
  const absl::Status prepared =
      PreparePostgresSchema(*number, kStartTimeout, known);
  if (!prepared.ok()) return prepared;
  const absl::Status writable = CheckPostgresWritable(*number);
  if (!writable.ok()) return writable;
  absl::MutexLock lock(&number_mutex_);
  number_ = *std::move(number);
  return absl::OkStatus();
}

// --- The server's number ---

absl::StatusOr<PostgresBackend> PostgresStore::NumberHolder() {
  if (!last_number_.ok()) return last_number_;
  if (number_.has_value()) return number_->backend();
  return absl::UnavailableError("the server's number was lost");
}

absl::StatusOr<PostgresBackend> PostgresStore::HoldNumber(bool wait,
                                                          TimePoint deadline) {
  std::optional<PostgresConnection> lost;
  {
    absl::MutexLock lock(&number_mutex_);
    if (taking_number_) {
      while (wait && taking_number_ &&
             std::chrono::steady_clock::now() < deadline) {
        SystemClock()->Wait(&number_tried_, &number_mutex_, deadline);
      }
      return NumberHolder();
    }
    if (number_.has_value() && number_->Alive()) return number_->backend();
    lost = std::exchange(number_, std::nullopt);
    taking_number_ = true;
    last_number_ = absl::UnavailableError(
        "the server's number in the database is being taken again");
  }
  lost.reset();
  // Clean up after an exception too. Workers catch exceptions, and the next
  // batch would otherwise wait for ever.
  const absl::Cleanup end = [&] {
    absl::MutexLock lock(&number_mutex_);
    taking_number_ = false;
    number_tried_.SignalAll();
  };
  absl::StatusOr<PostgresConnection> taken = TakeNumber(deadline);
  absl::MutexLock lock(&number_mutex_);
  last_number_ = AfterStart(taken.status());
  if (taken.ok()) {
    number_ = *std::move(taken);
    ++numbers_taken_;
  }
  return NumberHolder();
}

std::uint32_t PostgresStore::Generation() {
  // Everything that was reported as stored is on the PostgreSQL server of the
  // session that holds the number: without this session nothing is saved. The
  // value is odd from the moment that the session is lost. The value is another
  // one, and even, once a new session holds the number, on whatever server.
  absl::MutexLock lock(&number_mutex_);
  const bool held = number_.has_value() &&
                    sessions_.OnNewest(number_->backend()) && number_->Alive();
  return 2 * numbers_taken_ + (held ? 0 : 1);
}

absl::StatusOr<PostgresConnection> PostgresStore::TakeNumber(
    TimePoint deadline) {
  absl::StatusOr<PostgresConnection> db = sessions_.OpenNewest(deadline);
  if (!db.ok()) return db.status();
  const std::int64_t writers = kPostgresWritersLock + options_.server;
  // Wait a little: the server may still be releasing the lock of a session that
  // this process has lost.
  absl::Status status = db->Execute(
      absl::StrCat("SET lock_timeout = '500ms'; SELECT pg_advisory_lock(",
                   kPostgresLockClass, ", ", options_.server, ")"));
  if (PostgresSqlState(status) == kLockNotAvailable) {
    return absl::FailedPreconditionError(
        absl::StrCat("server: another server uses this database as number ",
                     options_.server, "; each needs a number of its own"));
  }
  // Terminate all sessions that still write under the number. They belong to a
  // process that has lost the number, which may be this process. A session that
  // joins the number from now on finds out that its process does not hold the
  // number (JoinNumber).
  if (status.ok()) {
    status = db->Execute(absl::StrCat(
        "SELECT pg_terminate_backend(pid) FROM pg_locks"
        " WHERE locktype = 'advisory' AND granted AND database ="
        "   (SELECT oid FROM pg_database WHERE datname = current_database())"
        " AND classid = ",
        kPostgresLockClass, " AND objid = ", writers,
        "; SET lock_timeout = '2s'; SELECT pg_advisory_lock(",
        kPostgresLockClass, ", ", writers, "), pg_advisory_unlock(",
        kPostgresLockClass, ", ", writers, "); SET lock_timeout = 0"));
  }
  if (status.ok()) return db;
  sessions_.Close(*std::move(db), status);
  return status;
}

void PostgresStore::DropNumber(const PostgresBackend& holder) {
  std::optional<PostgresConnection> dropped;
  absl::MutexLock lock(&number_mutex_);
  if (number_.has_value() &&
      number_->backend().process_id == holder.process_id &&
      number_->backend().started_at == holder.started_at) {
    dropped = std::exchange(number_, std::nullopt);
  }
}

absl::StatusOr<bool> PostgresStore::JoinNumber(PostgresConnection& writer,
                                               const PostgresBackend& holder) {
  // The order of the two statements matters. A process that takes the number
  // after the first statement terminates this session. A process that has taken
  // the number before is found by the second statement.
  writer.SendQuery(absl::StrCat("SELECT pg_advisory_lock_shared(",
                                kPostgresLockClass, ", ",
                                kPostgresWritersLock + options_.server, ")")
                       .c_str());
  writer.SendQuery(
      absl::StrCat(
          "SELECT EXISTS (SELECT FROM pg_locks AS l"
          " JOIN pg_stat_activity AS a ON a.pid = l.pid"
          "   AND a.datid = l.database AND a.datname = current_database()"
          " WHERE l.locktype = 'advisory' AND l.granted"
          " AND l.mode = 'ExclusiveLock' AND l.classid = ",
          kPostgresLockClass, " AND l.objid = ", options_.server,
          " AND a.pid = $1::bigint AND a.backend_start = $2::timestamptz)")
          .c_str(),
      {PostgresBigint(holder.process_id),
       PostgresTimestamp(holder.started_at)});
  const auto results = writer.Receive();
  if (!results.ok()) return results.status();
  return results->back().BoolAt(0, 0);
}

// --- Saving ---

absl::Status PostgresStore::SaveBatch(absl::Span<const Submission> batch,
                                      absl::Span<Saved> saved) {
  SLUICE_DCHECK_EQ(saved.size(), batch.size());
  if (batch.empty()) return absl::OkStatus();
  for (const Submission& submission : batch) {
    const absl::Status ids = CheckPostgresIds(submission);
    if (!ids.ok()) return ids;
  }
  const TimePoint deadline = After(TimeoutOf(batch, options_.timeout));
  const absl::Status status = WithWriter(
      deadline,
      [&](PostgresConnection& writer) -> absl::StatusOr<PostgresDurability> {
        PostgresBatch saving(writer, batch, saved, same_content_);
        const absl::Status stored = saving.Save();
        if (!stored.ok()) return stored;
        return saving.durability();
      });
  // A rejected batch is no sign that the database is unavailable.
  if (status.ok() || IsTransient(status)) set_last_save_failed(!status.ok());
  return status;
}

absl::StatusOr<PostgresConnection> PostgresStore::TakeWriter(
    TimePoint deadline) {
  // After a failover the number may still be held on the old primary, which
  // hangs. Take the number again, once.
  for (int attempt = 0; attempt < 2; ++attempt) {
    const absl::StatusOr<PostgresBackend> holder =
        HoldNumber(/*wait=*/true, deadline);
    if (!holder.ok()) return holder.status();
    std::optional<PostgresConnection> idle =
        sessions_.TakeIdle(PostgresSessions::Use::kWriting, deadline);
    if (idle.has_value()) return *std::move(idle);

    absl::StatusOr<PostgresConnection> writer = sessions_.Open(deadline);
    if (!writer.ok()) return AfterStart(writer.status());
    const absl::Status prepared = PreparePostgresBatches(*writer);
    const absl::StatusOr<bool> joined =
        prepared.ok() ? JoinNumber(*writer, *holder) : prepared;
    if (!joined.ok()) {
      sessions_.Close(*std::move(writer), joined.status());
      return joined.status();
    }
    if (*joined) return writer;
    DropNumber(*holder);
  }
  return absl::UnavailableError(
      "the server's number is not held on the PostgreSQL server that accepts "
      "writes");
}

absl::Status PostgresStore::WithWriter(TimePoint deadline,
                                       WriteFunction write) {
  using Use = PostgresSessions::Use;
  absl::StatusOr<PostgresConnection> writer = TakeWriter(deadline);
  if (!writer.ok()) return writer.status();
  // After an error or an exception, the session may have an open transaction or
  // unread answers. It is then closed, not returned to the pool.
  const absl::StatusOr<PostgresDurability> durability = write(*writer);
  if (durability.ok()) {
    sessions_.Return(Use::kWriting, *std::move(writer));
    return durability_.Observe(*durability);
  }
  const absl::Status& status = durability.status();
  sessions_.Close(*std::move(writer), status);
  // The connections of other idle sessions may be dead too. Close these
  // sessions.
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

// --- Reading ---

absl::Status PostgresStore::WithReader(ReadFunction read) {
  using Use = PostgresSessions::Use;
  const TimePoint deadline = After(options_.timeout);
  std::optional<PostgresConnection> session =
      sessions_.TakeIdle(Use::kReading, deadline);
  bool alive = false;
  const auto read_and_return = [&] {
    const absl::Status status = read(*session);
    alive = session->Alive();
    if (status.ok()) {
      sessions_.Return(Use::kReading, *std::move(session));
    } else {
      sessions_.Close(*std::move(session), status);
    }
    return status;
  };
  if (session.has_value()) {
    const absl::Status status = read_and_return();
    // A restart of PostgreSQL ends all sessions, and some of them may not know
    // it yet. A session that is still alive has its answer from PostgreSQL, and
    // a session that hangs has used up the time.
    if (!absl::IsUnavailable(status) || alive ||
        std::chrono::steady_clock::now() >= deadline) {
      return status;
    }
    sessions_.CloseIdle(Use::kReading);
  }
  absl::StatusOr<PostgresConnection> opened = sessions_.Open(deadline);
  if (!opened.ok()) return opened.status();
  session = *std::move(opened);
  return read_and_return();
}

absl::Status PostgresStore::FindReplicated(FindFunction find) {
  std::optional<PostgresDurability> durability;
  const absl::Status status = WithReader([&](PostgresConnection& db) {
    const absl::StatusOr<bool> found = find(db);
    if (!found.ok() || !*found) return found.status();
    const absl::StatusOr<PostgresDurability> replicated =
        AwaitPostgresReplication(db);
    if (replicated.ok()) durability = *replicated;
    return replicated.status();
  });
  if (!status.ok() || !durability.has_value()) return status;
  return durability_.Observe(*durability);
}

absl::StatusOr<std::vector<std::optional<StoredReceipt>>>
PostgresStore::FindReceipts(std::string_view study_id,
                            absl::Span<const std::string> submission_ids) {
  std::vector<std::optional<StoredReceipt>> receipts(submission_ids.size());
  // An id with U+0000 is never stored, and PostgreSQL rejects it as a
  // parameter.
  std::vector<std::size_t> asked;
  for (std::size_t i = 0; i < submission_ids.size(); ++i) {
    if (!HasNul(submission_ids[i])) asked.push_back(i);
  }
  if (asked.empty() || HasNul(study_id)) return receipts;

  using Type = PostgresArray::Type;
  PostgresArray ids(Type::kText, asked.size());
  PostgresArray studies(Type::kText, asked.size());
  for (const std::size_t i : asked) {
    ids.Bytes(submission_ids[i]);
    studies.Bytes(study_id);
  }
  const std::vector<std::string> parameters = {std::move(ids).Take(),
                                               std::move(studies).Take()};
  const absl::Status status =
      FindReplicated([&](PostgresConnection& db) -> absl::StatusOr<bool> {
        receipts.assign(submission_ids.size(), std::nullopt);
        const auto found = db.Query(kPostgresFindFirst, parameters);
        if (!found.ok()) return found.status();
        for (int row = 0; row < found->rows(); ++row) {
          const auto position =
              static_cast<std::size_t>(found->IntegerAt(row, 0));
          receipts[asked[position - 1]] =
              ReadPostgresFirst(*found, row).receipt;
        }
        return found->rows() > 0;
      });
  if (!status.ok()) return status;
  return receipts;
}

absl::StatusOr<std::vector<std::vector<std::int64_t>>>
PostgresStore::FindOtherSequences(absl::Span<const std::int64_t> sequences) {
  std::vector<std::vector<std::int64_t>> others(sequences.size());
  if (sequences.empty()) return others;
  PostgresArray firsts(PostgresArray::Type::kBigint, sequences.size());
  for (const std::int64_t sequence : sequences) firsts.Integer(sequence);
  const std::vector<std::string> parameters = {
      std::move(firsts).Take(),
      PostgresBigint(static_cast<std::int64_t>(kOtherSequencesMax))};
  const absl::Status status =
      FindReplicated([&](PostgresConnection& db) -> absl::StatusOr<bool> {
        others.assign(sequences.size(), {});
        const auto found = db.Query(kFindOthers, parameters);
        if (!found.ok()) return found.status();
        for (int row = 0; row < found->rows(); ++row) {
          const auto position =
              static_cast<std::size_t>(found->IntegerAt(row, 0));
          others[position - 1].push_back(found->IntegerAt(row, 1));
        }
        return found->rows() > 0;
      });
  if (!status.ok()) return status;
  return others;
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

// --- The registry ---

absl::Status PostgresStore::ReadRegistry(PostgresRegistry::Use use) {
  return FindReplicated([&](PostgresConnection& db) -> absl::StatusOr<bool> {
    const absl::Status status = use(db);
    if (!status.ok()) return status;
    return true;
  });
}

absl::Status PostgresStore::WriteRegistry(PostgresRegistry::Use use) {
  return WithWriter(
      After(options_.timeout),
      [&](PostgresConnection& db) -> absl::StatusOr<PostgresDurability> {
        db.SendQuery("BEGIN");
        const absl::Status queued = use(db);
        if (!queued.ok()) return queued;
        // A statement may find its values in the table already, and write
        // nothing. The COMMIT must wait for the standbys all the same.
        SendPostgresCommit(db, /*relies_on_rows=*/true);
        const auto results = db.Receive();
        if (!results.ok()) return results.status();
        return ReadPostgresDurability(results->back());
      });
}

// --- Readiness ---

absl::Status PostgresStore::Check() {
  // Do not wait for a Check in progress. Return the last result.
  if (!check_mutex_.TryLock()) return last_check();
  // Unlock after an exception too. Otherwise every later Check would return the
  // last result for ever.
  const absl::Cleanup unlock = [this]() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    check_mutex_.Unlock();
  };
  const TimePoint deadline = After(kCheckTimeout);
  absl::Status status = HoldNumber(/*wait=*/false, deadline).status();
  if (status.ok()) status = Probe(deadline);
  set_last_check(status);
  return status;
}

absl::Status PostgresStore::last_check() const {
  absl::MutexLock lock(&state_mutex_);
  return last_check_;
}

void PostgresStore::set_last_check(const absl::Status& status) {
  absl::MutexLock lock(&state_mutex_);
  last_check_ = status;
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
  absl::Status status = AfterStart(CheckPostgresWritable(db));
  // After a failed batch the store is unavailable until a write succeeds.
  if (!status.ok() || !last_save_failed()) return status;
  status = db.Execute(kProbeWriting);
  if (status.ok()) set_last_save_failed(false);
  return status;
}

absl::Status PostgresStore::ProbeStandbys(PostgresConnection session,
                                          TimePoint deadline) {
  const absl::StatusOr<PostgresDurability> durability =
      FindPostgresDurability(session);
  if (!durability.ok()) {
    sessions_.Close(std::move(session), durability.status());
    return durability.status();
  }
  const absl::Status observed = durability_.Observe(*durability);
  if (!observed.ok() || !PostgresCommitsWait(*durability)) {
    checker_ = std::move(session);
    return observed;
  }
  if (const absl::Status sent = session.Start(kPostgresCommitMessage);
      !sent.ok()) {
    sessions_.Close(std::move(session), sent);
    return sent;
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
  // Keep the session while the commit may still succeed: each new session could
  // leave another waiting process. Abandon it after the timeout, because the
  // server itself may hang.
  if (After(-options_.timeout) < *commit_sent_at_) {
    checker_ = std::move(session);
  } else {
    commit_sent_at_.reset();
    sessions_.Close(std::move(session), status);
  }
  return status;
}

}  // namespace sluice
