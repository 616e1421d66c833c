#include "tests/crash/server_process.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <span>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "loadgen/server_metrics.h"
#include "tests/crash/limits.h"

namespace sluice {
namespace {

constexpr std::size_t kLogTailBytes = 4096;
constexpr int kExitCannotRun = 127;

// Returns the null-terminated array for execve. The strings must outlive the
// array.
std::vector<char*> Pointers(const std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  pointers.reserve(strings.size() + 1);
  for (const std::string& string : strings) {
    pointers.push_back(const_cast<char*>(string.c_str()));
  }
  pointers.push_back(nullptr);
  return pointers;
}

std::vector<std::string> Environment(const ServerCommand& command) {
  std::vector<std::string> environment;
  for (char** variable = environ; *variable != nullptr; ++variable) {
    environment.emplace_back(*variable);
  }
  environment.insert(environment.end(), command.environment.begin(),
                     command.environment.end());
  return environment;
}

// Runs in the child. Only async-signal-safe functions may be called after fork.
[[noreturn]] void Run(int output, pid_t parent, char* const* argv,
                      char* const* envp) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(kExitCannotRun);
  dup2(output, STDOUT_FILENO);
  dup2(output, STDERR_FILENO);
  execve(argv[0], argv, envp);
  _exit(kExitCannotRun);
}

// Returns the number after `name`, e.g. " port="; 0 if `name` is missing.
int NumberAfter(absl::string_view line, absl::string_view name) {
  const std::size_t at = line.find(name);
  if (at == absl::string_view::npos) return 0;
  line.remove_prefix(at + name.size());
  int number = 0;
  const bool parsed = absl::SimpleAtoi(line.substr(0, line.find(' ')), &number);
  return parsed ? number : 0;
}

}  // namespace

absl::StatusOr<std::unique_ptr<ServerProcess>> ServerProcess::Start(
    const ServerCommand& command) {
  std::vector<std::string> arguments = {command.program};
  arguments.insert(arguments.end(), command.arguments.begin(),
                   command.arguments.end());
  const std::vector<std::string> environment = Environment(command);
  const std::vector<char*> argv = Pointers(arguments);
  const std::vector<char*> envp = Pointers(environment);

  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) {
    return absl::UnavailableError(
        absl::StrCat("cannot make a pipe: ", std::strerror(errno)));
  }
  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid == 0) Run(ends[1], parent, argv.data(), envp.data());
  const int error = errno;
  close(ends[1]);
  if (pid < 0) {
    close(ends[0]);
    return absl::UnavailableError(
        absl::StrCat("cannot make a process: ", std::strerror(error)));
  }
  return std::unique_ptr<ServerProcess>(new ServerProcess(pid, ends[0]));
}

ServerProcess::ServerProcess(pid_t pid, int output)
    : pid_(pid), output_(output), reader_([this] { ReadOutput(); }) {}

ServerProcess::~ServerProcess() {
  Kill();
  close(output_);
}

bool ServerProcess::AwaitServing(absl::Time deadline) {
  return Await(deadline, &ServerProcess::ServingOrEnded) && serving();
}

bool ServerProcess::AwaitEnd(absl::Time deadline) {
  return Await(deadline, &ServerProcess::Ended);
}

bool ServerProcess::Await(absl::Time deadline,
                          bool (ServerProcess::*condition)() const) {
  absl::MutexLock lock(&mutex_);
  const auto holds = [this, condition] { return (this->*condition)(); };
  return mutex_.AwaitWithDeadline(absl::Condition(&holds), deadline);
}

bool ServerProcess::serving() const {
  absl::MutexLock lock(&mutex_);
  return port_ != 0 && !ended_;
}

int ServerProcess::port() const {
  absl::MutexLock lock(&mutex_);
  return port_;
}

int ServerProcess::metrics_port() const {
  absl::MutexLock lock(&mutex_);
  return metrics_port_;
}

std::string ServerProcess::LogTail() const {
  absl::MutexLock lock(&mutex_);
  return log_tail_;
}

void ServerProcess::Kill() {
  if (!reaped_) kill(pid_, SIGKILL);
  Reap();
}

void ServerProcess::Pause() {
  if (!reaped_) kill(pid_, SIGSTOP);
}

void ServerProcess::Resume() {
  if (!reaped_) kill(pid_, SIGCONT);
}

absl::StatusOr<int> ServerProcess::Stop(absl::Time deadline) {
  if (!reaped_) kill(pid_, SIGTERM);
  if (!AwaitEnd(deadline)) {
    return absl::DeadlineExceededError("the server does not end");
  }
  return Reap();
}

int ServerProcess::Reap() {
  int status = 0;
  if (!reaped_) waitpid(pid_, &status, 0);
  reaped_ = true;
  if (reader_.joinable()) reader_.join();
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

// Reads until the process has ended, which closes its end of the pipe.
void ServerProcess::ReadOutput() {
  std::string rest;
  std::array<char, 4096> bytes;
  for (;;) {
    const ssize_t size = read(output_, bytes.data(), bytes.size());
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) break;
    rest.append(bytes.data(), static_cast<std::size_t>(size));
    for (std::size_t end; (end = rest.find('\n')) != std::string::npos;) {
      OnLine(absl::string_view(rest).substr(0, end));
      rest.erase(0, end + 1);
    }
    if (rest.size() > kLogTailBytes) rest.clear();
  }
  absl::MutexLock lock(&mutex_);
  ended_ = true;
}

void ServerProcess::OnLine(absl::string_view line) {
  absl::MutexLock lock(&mutex_);
  absl::StrAppend(&log_tail_, line, "\n");
  if (log_tail_.size() > 2 * kLogTailBytes) {
    log_tail_.erase(0, log_tail_.size() - kLogTailBytes);
  }
  if (line.find(" serving: ") == absl::string_view::npos) return;
  metrics_port_ = NumberAfter(line, " metrics_port=");
  port_ = NumberAfter(line, " port=");
}

bool AwaitWorkedOff(ServerProcess& server) {
  const absl::Time deadline = absl::Now() + kQueueEmptyLimit;
  while (server.serving() && absl::Now() < deadline) {
    const auto metrics = FetchMetrics(server.metrics_port(), kStopLimit);
    if (metrics.ok() && IsWorkedOff(*metrics)) return true;
    server.AwaitEnd(absl::Now() + kLookPause);
  }
  return false;
}

}  // namespace sluice
