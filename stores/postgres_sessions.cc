#include "stores/postgres_sessions.h"

#include <chrono>
#include <optional>
#include <utility>

#include "stores/postgres_batch.h"
#include "stores/postgres_schema.h"

namespace sluice {
namespace {

// A process is ended only if it is still the one of the abandoned session. The
// server shows when a process was started for sessions of the same role.
constexpr char kTerminate[] =
    "SELECT pg_terminate_backend(a.pid) FROM pg_stat_activity AS a"
    " JOIN unnest($1::bigint[], $2::timestamptz[]) AS b (pid, started_at)"
    " ON a.pid = b.pid AND a.backend_start = b.started_at";

}  // namespace

PostgresSessions::PostgresSessions(std::string url,
                                   absl::Duration statement_timeout)
    : url_(std::move(url)),
      statement_timeout_(statement_timeout),
      hosts_(PostgresHosts(url_)) {}

absl::StatusOr<PostgresConnection> PostgresSessions::Open(TimePoint deadline) {
  absl::StatusOr<PostgresConnection> session = OpenOnSomeHost(deadline);
  if (!session.ok()) return session.status();
  session->set_deadline(deadline);
  const absl::Status ended = EndAbandoned(*session);
  if (!ended.ok()) return ended;
  return session;
}

absl::StatusOr<PostgresConnection> PostgresSessions::OpenOnSomeHost(
    TimePoint deadline) {
  std::size_t first = 0;
  {
    absl::MutexLock lock(&mutex_);
    first = first_host_;
  }
  absl::Status status;
  for (std::size_t i = 0; i < hosts_.size(); ++i) {
    const std::size_t host = (first + i) % hosts_.size();
    // An equal share of what is left for each host that is left.
    const TimePoint now = std::chrono::steady_clock::now();
    const TimePoint share =
        deadline == kForever
            ? kForever
            : now + (deadline - now) /
                        static_cast<Duration::rep>(hosts_.size() - i);
    absl::StatusOr<PostgresConnection> session =
        OpenPostgresSession(url_, hosts_[host], statement_timeout_, share);
    if (session.ok()) {
      absl::MutexLock lock(&mutex_);
      first_host_ = host;
      return session;
    }
    // The first error is about the host that worked last, unless a later host
    // is there but cannot be used.
    if (status.ok() || absl::IsFailedPrecondition(session.status())) {
      status = session.status();
    }
  }
  return status;
}

std::optional<PostgresConnection> PostgresSessions::TakeIdle(Use use) {
  while (true) {
    std::optional<PostgresConnection> session;
    {
      absl::MutexLock lock(&mutex_);
      if (idle(use).empty()) return std::nullopt;
      session = std::move(idle(use).back());
      idle(use).pop_back();
    }
    if (session->Alive()) return session;
  }
}

absl::StatusOr<PostgresConnection> PostgresSessions::Take(Use use,
                                                          TimePoint deadline) {
  if (std::optional<PostgresConnection> session = TakeIdle(use)) {
    session->set_deadline(deadline);
    const absl::Status ended = EndAbandoned(*session);
    if (ended.ok()) return *std::move(session);
    Close(*std::move(session), ended);
    return ended;
  }
  absl::StatusOr<PostgresConnection> session = Open(deadline);
  if (!session.ok() || use != Use::kWriting) return session;
  const absl::Status prepared = PreparePostgresBatches(*session);
  if (!prepared.ok()) return prepared;
  return session;
}

void PostgresSessions::Return(Use use, PostgresConnection session) {
  absl::MutexLock lock(&mutex_);
  idle(use).push_back(std::move(session));
}

void PostgresSessions::CloseIdle(Use use) {
  std::vector<PostgresConnection> closing;
  absl::MutexLock lock(&mutex_);
  closing.swap(idle(use));
}

void PostgresSessions::Close(PostgresConnection session,
                             const absl::Status& error) {
  if (absl::IsUnavailable(error)) Abandon({session.backend()});
}

void PostgresSessions::Abandon(const std::vector<PostgresBackend>& backends) {
  absl::MutexLock lock(&mutex_);
  for (const PostgresBackend& backend : backends) {
    if (abandoned_.size() == kAbandonedMax) {
      abandoned_.erase(abandoned_.begin());
    }
    abandoned_.push_back(backend);
  }
}

absl::Status PostgresSessions::EndAbandoned(PostgresConnection& session) {
  std::vector<PostgresBackend> ending;
  {
    absl::MutexLock lock(&mutex_);
    ending.swap(abandoned_);
  }
  if (ending.empty()) return absl::OkStatus();
  PostgresArray processes(PostgresArray::Type::kBigint, ending.size());
  PostgresArray starts(PostgresArray::Type::kTimestamptz, ending.size());
  for (const PostgresBackend& backend : ending) {
    processes.Integer(backend.process_id);
    starts.Time(backend.started_at);
  }
  const absl::Status status =
      session
          .Query(kTerminate,
                 {std::move(processes).Take(), std::move(starts).Take()})
          .status();
  if (!status.ok()) Abandon(ending);
  return status;
}

}  // namespace sluice
