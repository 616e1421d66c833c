// A PostgreSQL server for a test or a campaign, in its own folder, that can be
// stopped, killed and started again.

#ifndef SLUICE_TESTS_POSTGRES_LOCAL_POSTGRES_H_
#define SLUICE_TESTS_POSTGRES_LOCAL_POSTGRES_H_

#include <sys/types.h>

#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace sluice {

// Lets all users enter a folder, because PostgreSQL may run as another user.
absl::Status AdmitOtherUsers(const std::string& folder);

// A child of the main process of a PostgreSQL server.
struct PostgresProcess {
  pid_t pid = 0;
  // For example "postgres: n0: walsender sluice [local] streaming 0/6D00148".
  std::string title;
};

// Runs as the user `postgres` if this process is root, because PostgreSQL
// refuses to run as root. Listens only on a socket in its folder, so that no
// other process can take a port while the server is down. Must be used by one
// thread. The kernel kills the server when that thread ends.
class LocalPostgres {
 public:
  // Creates an empty cluster in `folder`, which must exist and be accessible to
  // all users. Returns NOT_FOUND if PostgreSQL is not installed.
  static absl::Status MakeCluster(const std::string& folder);
  // Creates a standby of the running server `primary` in `folder`, under the
  // same conditions as MakeCluster. Replaces a cluster that is in `folder`.
  static absl::Status MakeStandby(const std::string& folder,
                                  const LocalPostgres& primary);

  // Manages the cluster in `folder`, an absolute path short enough for the path
  // of a socket. Does not start the server. Each setting, NAME=VALUE, overrides
  // the cluster's configuration.
  explicit LocalPostgres(std::string folder,
                         std::vector<std::string> settings = {})
      : folder_(std::move(folder)), settings_(std::move(settings)) {}
  LocalPostgres(const LocalPostgres&) = delete;
  LocalPostgres& operator=(const LocalPostgres&) = delete;
  ~LocalPostgres();

  // Returns the URL of a database. The database "postgres" always exists.
  std::string Url(absl::string_view database) const;
  // Returns the value of the parameter `host` in a URL.
  std::string UrlHost() const;

  const std::string& folder() const { return folder_; }
  // False also if the main process has ended by itself.
  bool running() const;

  // Starts the server. Returns when it accepts connections, after recovery.
  // Returns UNAVAILABLE if it does not start; the file `log` in the folder says
  // why.
  absl::Status Start();
  // Stops the server in the mode "fast", which ends open sessions. Returns
  // UNAVAILABLE if the server does not stop cleanly.
  absl::Status Stop();
  // Kills all processes of the server with SIGKILL.
  absl::Status Kill();
  // Kills the main process with SIGKILL. The other processes notice and end by
  // themselves. Returns when they have ended.
  absl::Status KillMain();
  // Stops all processes of the server by SIGSTOP, so that the server hangs.
  // Connections stay open. The server accepts no new connections until Resume.
  void Pause();
  void Resume();

  // Returns the processes of a running server, without the main process.
  std::vector<PostgresProcess> Processes() const;

 private:
  const std::string folder_;
  const std::vector<std::string> settings_;
  mutable pid_t pid_ = 0;  // 0 if not running
};

}  // namespace sluice

#endif  // SLUICE_TESTS_POSTGRES_LOCAL_POSTGRES_H_
