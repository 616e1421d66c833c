#include "stores/postgres_sessions.h"

#include <chrono>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "stores/postgres_schema.h"

namespace sluice {
namespace {

// Terminates the processes of abandoned sessions. The start time is compared
// too, because a later process may have the same id. The server shows the start
// time of sessions of the same role.
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
  return OpenOnSomeHost(/*newest=*/false, deadline);
}

absl::StatusOr<PostgresConnection> PostgresSessions::OpenNewest(
    TimePoint deadline) {
  return OpenOnSomeHost(/*newest=*/true, deadline);
}

absl::StatusOr<PostgresConnection> PostgresSessions::OpenOnSomeHost(
    bool newest, TimePoint deadline) {
  const std::size_t first = first_host();
  absl::StatusOr<PostgresConnection> best =
      absl::UnavailableError("PostgreSQL has no host");
  for (std::size_t i = 0; i < hosts_.size(); ++i) {
    // Give each remaining host an equal share of the time, and leave one share
    // for the use of the session.
    absl::StatusOr<PostgresConnection> session = OpenOnHost(
        (first + i) % hosts_.size(), hosts_.size() - i + 1, deadline);
    // If no host can be used, return the error of the first host, which worked
    // last. The error of a later host is preferred if that host was reached but
    // is unsuitable (FAILED_PRECONDITION).
    const bool better =
        session.ok()
            ? !best.ok() ||
                  best->backend().timeline < session->backend().timeline
            : i == 0 ||
                  (!best.ok() && absl::IsFailedPrecondition(session.status()));
    if (better) best = std::move(session);
    if (best.ok() && !newest) break;
  }
  if (!best.ok()) return best;
  best->set_deadline(deadline);
  const absl::Status ended = EndAbandoned(*best);
  if (ended.ok()) return best;
  Close(*std::move(best), ended);
  return ended;
}

absl::StatusOr<PostgresConnection> PostgresSessions::OpenOnHost(
    std::size_t host, std::size_t shares, TimePoint deadline) {
  const TimePoint now = std::chrono::steady_clock::now();
  const TimePoint share =
      hosts_.size() == 1 || deadline == kForever
          ? deadline
          : now + (deadline - now) / static_cast<Duration::rep>(shares);
  absl::StatusOr<PostgresConnection> session =
      OpenPostgresSession(url_, hosts_[host], statement_timeout_, share);
  if (!session.ok()) return session;
  const absl::Status accepted = Accept(host, session->backend());
  if (!accepted.ok()) return accepted;
  return session;
}

absl::Status PostgresSessions::Accept(std::size_t host,
                                      const PostgresBackend& backend) {
  absl::MutexLock lock(&mutex_);
  if (system_identifier_ != 0 &&
      system_identifier_ != backend.system_identifier) {
    return absl::UnavailableError(
        "PostgreSQL is another cluster than before (another system "
        "identifier); restart this server to use it");
  }
  if (backend.timeline < timeline_) {
    return absl::UnavailableError(absl::StrCat(
        "PostgreSQL is an old primary: its timeline is ", backend.timeline,
        ", and a primary of timeline ", timeline_, " was seen"));
  }
  system_identifier_ = backend.system_identifier;
  timeline_ = backend.timeline;
  first_host_ = host;
  return absl::OkStatus();
}

bool PostgresSessions::OnNewest(const PostgresBackend& backend) {
  absl::MutexLock lock(&mutex_);
  return backend.timeline == timeline_;
}

std::size_t PostgresSessions::first_host() {
  absl::MutexLock lock(&mutex_);
  return first_host_;
}

std::optional<PostgresConnection> PostgresSessions::PopIdle(Use use) {
  while (true) {
    std::optional<PostgresConnection> session;
    {
      absl::MutexLock lock(&mutex_);
      if (idle(use).empty()) return std::nullopt;
      session = std::move(idle(use).back());
      idle(use).pop_back();
    }
    if (OnNewest(session->backend()) && session->Alive()) return session;
  }
}

std::optional<PostgresConnection> PostgresSessions::TakeIdle(
    Use use, TimePoint deadline) {
  std::optional<PostgresConnection> session = PopIdle(use);
  if (!session.has_value()) return session;
  session->set_deadline(deadline);
  const absl::Status ended = EndAbandoned(*session);
  if (ended.ok()) return session;
  Close(*std::move(session), ended);
  return std::nullopt;
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
