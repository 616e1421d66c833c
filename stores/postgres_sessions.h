// Sessions of a store with a PostgreSQL database.

#ifndef SLUICE_STORES_POSTGRES_SESSIONS_H_
#define SLUICE_STORES_POSTGRES_SESSIONS_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "base/time.h"
#include "stores/postgres.h"

namespace sluice {

// Opens sessions, keeps idle sessions, and terminates abandoned sessions.
//
// A session is abandoned if it did not answer in time. Its process on the
// server may hang for long, for example in a COMMIT that waits for a standby,
// and does not notice that the client has disconnected. Each such process
// occupies a connection of the server and holds its locks. The next session
// that is opened or taken therefore terminates the processes of all abandoned
// sessions. Their statements are never cancelled, because a COMMIT whose wait
// is cancelled reports success.
//
// Thread-safe. No lock is held over I/O.
class PostgresSessions {
 public:
  enum class Use { kWriting, kReading };

  // `url` must pass CheckPostgresUrl. The server ends statements that take
  // longer than `statement_timeout`.
  PostgresSessions(std::string url, absl::Duration statement_timeout);

  // Opens a session. The caller may keep the session, return it or close it.
  // Tries the hosts of the URL one after the other, beginning with the last
  // host that worked. A host that does not answer leaves time for the other
  // hosts. Returns UNAVAILABLE if no host accepts writes by `deadline`.
  //
  // Never returns a session with an old primary, whose timeline is lower than
  // the highest timeline seen. All sessions belong to the cluster of the first
  // session.
  absl::StatusOr<PostgresConnection> Open(TimePoint deadline);
  // Tries all hosts, and opens a session with the host of the highest timeline.
  // An old primary that has come back may accept writes as well.
  absl::StatusOr<PostgresConnection> OpenNewest(TimePoint deadline);

  // True if no server with a higher timeline than that of `backend` was seen.
  bool OnNewest(const PostgresBackend& backend);

  // Returns an idle session that is alive and not with an old primary, or
  // nothing.
  std::optional<PostgresConnection> TakeIdle(Use use, TimePoint deadline);
  // Takes back a session. The session must have no open transaction and no
  // unread answer.
  void Return(Use use, PostgresConnection session);
  void CloseIdle(Use use);

  // Closes a session after `error`. The session counts as abandoned if the
  // server may still be busy with it.
  void Close(PostgresConnection session, const absl::Status& error);

 private:
  // Maximum number of abandoned sessions that are remembered. Each call of
  // TakeIdle or Open terminates all of them. The number therefore exceeds the
  // number of calls in progress only while the server cannot be reached.
  static constexpr std::size_t kAbandonedMax = 1024;

  // Opens a session with a host, in 1/`shares` of the time until `deadline`.
  absl::StatusOr<PostgresConnection> OpenOnHost(std::size_t host,
                                                std::size_t shares,
                                                TimePoint deadline);
  absl::StatusOr<PostgresConnection> OpenOnSomeHost(bool newest,
                                                    TimePoint deadline);
  // Records the server of a session. Returns UNAVAILABLE if the server is an
  // old primary or belongs to another cluster.
  absl::Status Accept(std::size_t host, const PostgresBackend& backend);
  std::size_t first_host();
  std::optional<PostgresConnection> PopIdle(Use use);
  absl::Status EndAbandoned(PostgresConnection& session);
  void Abandon(const std::vector<PostgresBackend>& backends);
  std::vector<PostgresConnection>& idle(Use use)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return idle_[static_cast<std::size_t>(use)];
  }

  // Constant after construction.
  const std::string url_;
  const absl::Duration statement_timeout_;
  const std::vector<PostgresHost> hosts_;

  absl::Mutex mutex_;
  std::size_t first_host_ ABSL_GUARDED_BY(mutex_) = 0;
  std::int64_t system_identifier_ ABSL_GUARDED_BY(mutex_) = 0;  // 0: unknown
  std::int64_t timeline_ ABSL_GUARDED_BY(mutex_) = 0;           // highest seen
  std::array<std::vector<PostgresConnection>, 2> idle_ ABSL_GUARDED_BY(mutex_);
  std::vector<PostgresBackend> abandoned_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace sluice

#endif  // SLUICE_STORES_POSTGRES_SESSIONS_H_
