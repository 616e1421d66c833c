// A PostgreSQL server for a test or a campaign, in its own folder, that can be
// stopped, killed and started again.

#ifndef SLUICE_TESTS_POSTGRES_LOCAL_POSTGRES_H_
#define SLUICE_TESTS_POSTGRES_LOCAL_POSTGRES_H_

#include <sys/types.h>

#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace sluice {

// Runs as the user `postgres` if this process is root, because PostgreSQL
// refuses to run as root. Listens only on a socket in its folder, so that no
// other process can take a port while the server is down. Must be used by one
// thread. The kernel kills the server when that thread ends.
class LocalPostgres {
 public:
  // Creates an empty cluster in `folder`, which must exist and be accessible to
  // all users. Returns NOT_FOUND if PostgreSQL is not installed.
  static absl::Status MakeCluster(const std::string& folder);

  // Manages the cluster in `folder`, an absolute path short enough for the path
  // of a socket. Does not start the server.
  explicit LocalPostgres(std::string folder) : folder_(std::move(folder)) {}
  LocalPostgres(const LocalPostgres&) = delete;
  LocalPostgres& operator=(const LocalPostgres&) = delete;
  ~LocalPostgres();

  // Returns the URL of a database. The database "postgres" always exists.
  std::string Url(absl::string_view database) const;

  bool running() const { return pid_ != 0; }

  // Starts the server. Returns when it accepts connections, after recovery.
  // Returns UNAVAILABLE if it does not start; the file `log` in the folder says
  // why.
  absl::Status Start();
  // Stops the server in the mode "fast", which ends open sessions. Returns
  // UNAVAILABLE if the server does not stop cleanly.
  absl::Status Stop();
  // Kills all processes of the server with SIGKILL.
  absl::Status Kill();
  // Stops all processes of the server by SIGSTOP, so that the server hangs.
  // Connections stay open. The server accepts no new connections until Resume.
  void Pause();
  void Resume();

 private:
  const std::string folder_;
  pid_t pid_ = 0;  // 0 if not running
};

}  // namespace sluice

#endif  // SLUICE_TESTS_POSTGRES_LOCAL_POSTGRES_H_
