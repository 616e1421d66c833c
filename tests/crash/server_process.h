// The server under test: the real program, as a child process.

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
  // Additional environment variables, each as NAME=value.
  std::vector<std::string> environment;
};

// A thread reads the output all the time. Must be used by one thread.
class ServerProcess {
 public:
  // Starts the server. Returns UNAVAILABLE if no process can be created. A
  // program that cannot be executed ends with exit code 127.
  static absl::StatusOr<std::unique_ptr<ServerProcess>> Start(
      const ServerCommand& command);
  ServerProcess(const ServerProcess&) = delete;
  ServerProcess& operator=(const ServerProcess&) = delete;
  // Kills the process if it is still running. The kernel also kills it when the
  // thread that started it ends.
  ~ServerProcess();

  // Waits until the server logs that it serves. Returns false if the process
  // ends first or at `deadline`.
  bool AwaitServing(absl::Time deadline);
  // Waits until the process has ended. Returns false at `deadline`.
  bool AwaitEnd(absl::Time deadline);

  bool serving() const;
  // Ports of a serving server.
  int port() const;
  int metrics_port() const;

  // Kills the process with SIGKILL. Returns when it has ended.
  void Kill();
  // Pause makes a running process hang (SIGSTOP). Resume lets it continue.
  void Pause();
  void Resume();
  // Sends SIGTERM and returns the exit code, or -1 if a signal ended the
  // process. Returns DEADLINE_EXCEEDED if the process is still running at
  // `deadline`.
  absl::StatusOr<int> Stop(absl::Time deadline);

  // Returns the end of the process's output.
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
  // Waits for the process. Returns its exit code, or -1 after a signal.
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

// Waits until the server has processed its queue. Returns false if the server
// ends first or takes longer than kQueueEmptyLimit.
bool AwaitWorkedOff(ServerProcess& server);

}  // namespace sluice

#endif  // SLUICE_TESTS_CRASH_SERVER_PROCESS_H_
