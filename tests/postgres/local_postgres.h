// A real PostgreSQL beside a test or a campaign, in a folder of its own, that
// can be stopped, killed and started again.

#ifndef SLUICE_TESTS_POSTGRES_LOCAL_POSTGRES_H_
#define SLUICE_TESTS_POSTGRES_LOCAL_POSTGRES_H_

#include <sys/types.h>

#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace sluice {

// Runs as the user `postgres` where this process is root's: PostgreSQL refuses
// to run as root. It is reached by a socket in its folder alone, so that no
// port can be taken from it while it is down. Used by one thread; ends with it.
class LocalPostgres {
 public:
  // Makes the folder of a new, empty cluster in `folder`, which exists and may
  // be entered by all. NOT_FOUND where PostgreSQL is not installed.
  static absl::Status MakeCluster(const std::string& folder);

  // Of the cluster in `folder`, an absolute path short enough for a socket in
  // it. It does not run yet.
  explicit LocalPostgres(std::string folder) : folder_(std::move(folder)) {}
  LocalPostgres(const LocalPostgres&) = delete;
  LocalPostgres& operator=(const LocalPostgres&) = delete;
  ~LocalPostgres();

  // The URL of a database by its name; "postgres" is always there.
  std::string Url(absl::string_view database) const;

  bool running() const { return pid_ != 0; }

  // Returns when it takes connections, after it has repaired what it must.
  // UNAVAILABLE where it does not start; it says why in the file `log` there.
  absl::Status Start();
  // Ends sessions as they are, with leave taken; returns when it has ended.
  // UNAVAILABLE where it does not end well.
  absl::Status Stop();
  // The same by SIGKILL to each of its processes.
  absl::Status Kill();

 private:
  absl::Status AwaitConnections();

  const std::string folder_;
  pid_t pid_ = 0;  // 0 where it does not run
};

}  // namespace sluice

#endif  // SLUICE_TESTS_POSTGRES_LOCAL_POSTGRES_H_
