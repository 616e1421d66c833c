// The server under test: the real program, to be killed.

#ifndef SLUICE_TESTS_CRASH_SERVER_PROCESS_H_
#define SLUICE_TESTS_CRASH_SERVER_PROCESS_H_

#include <sys/types.h>

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace sluice {

struct ServerCommand {
  std::string program;
  std::vector<std::string> arguments;
  std::vector<std::string> environment;  // NAME=value, beside this process's
};

// Its output is read all the time. Used by one thread.
class ServerProcess {
 public:
  // UNAVAILABLE where no process can be made. A program that cannot be run ends
  // with exit code 127.
  static absl::StatusOr<std::unique_ptr<ServerProcess>> Start(
      const ServerCommand& command);
  ServerProcess(const ServerProcess&) = delete;
  ServerProcess& operator=(const ServerProcess&) = delete;
  // Kills it if it still runs. It is killed as well when the thread that
  // started it ends.
  ~ServerProcess();

  // Waits until it says that it serves. False: it has ended, or has not said so
  // by `deadline`.
  bool AwaitServing(absl::Time deadline);
  // Waits until it has ended. False: it has not by `deadline`.
  bool AwaitEnd(absl::Time deadline);

  bool serving() const;
  // Of a server that serves.
  int port() const;
  int metrics_port() const;

  // kill -9; returns when it is dead.
  void Kill();
  // SIGTERM. Its exit code; -1 where a signal ended it, DEADLINE_EXCEEDED where
  // nothing had by `deadline`.
  absl::StatusOr<int> Stop(absl::Time deadline);

  // The end of what it wrote.
  std::string LogTail() const;

 private:
  ServerProcess(pid_t pid, int output);

  void ReadOutput();
  void OnLine(absl::string_view line);
  bool Await(absl::Time deadline, bool (ServerProcess::*condition)() const);
  bool ServingOrEnded() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return ended_ || port_ != 0;
  }
  bool Ended() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return ended_; }
  // Waits for the process. Its exit code, or -1.
  int Reap();

  const pid_t pid_;
  const int output_;
  bool reaped_ = false;

  mutable absl::Mutex mutex_;
  int port_ ABSL_GUARDED_BY(mutex_) = 0;
  int metrics_port_ ABSL_GUARDED_BY(mutex_) = 0;
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;
  std::string log_tail_ ABSL_GUARDED_BY(mutex_);

  std::thread reader_;
};

}  // namespace sluice

#endif  // SLUICE_TESTS_CRASH_SERVER_PROCESS_H_
