#include "tests/postgres/local_postgres.h"

#include <fcntl.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <initializer_list>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/time.h"
#include "base/check.h"

namespace sluice {
namespace {

namespace fs = std::filesystem;

constexpr char kUser[] = "postgres";
// Generous limit: a healthy server needs far less.
constexpr absl::Duration kLimit = absl::Seconds(60);

absl::Status SystemError(absl::string_view doing, int error) {
  return absl::UnavailableError(
      absl::StrCat("cannot ", doing, ": ", std::strerror(error)));
}

// A file descriptor that is closed at the end.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) close(fd_);
  }

  int get() const { return fd_; }

 private:
  int fd_;
};

// Opens a descriptor that becomes readable when the process ends. Returns a
// negative descriptor if the process has ended and was reaped.
Descriptor WatchEnd(pid_t pid) {
  // Calls pidfd_open(2), which the C library of Debian 12 does not declare for
  // C++.
  return Descriptor(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
}

// Waits until one of the descriptors is readable. Returns false after kLimit.
bool AwaitReadable(std::initializer_list<int> descriptors) {
  std::vector<pollfd> polled;
  for (const int fd : descriptors) polled.push_back({fd, POLLIN, 0});
  int ready = 0;
  do {
    ready = poll(polled.data(), polled.size(),
                 static_cast<int>(absl::ToInt64Milliseconds(kLimit)));
  } while (ready < 0 && errno == EINTR);
  return ready > 0;
}

// Returns the folder with the programs of the newest PostgreSQL that is
// installed, in Debian's layout.
absl::StatusOr<std::string> ProgramsFolder() {
  std::string newest;
  std::error_code error;
  for (const auto& version :
       fs::directory_iterator("/usr/lib/postgresql", error)) {
    const fs::path folder = version.path() / "bin";
    if (fs::exists(folder / "initdb", error)) {
      newest = std::max(newest, folder.string());
    }
  }
  if (!newest.empty()) return newest;
  return absl::NotFoundError("PostgreSQL is not installed: tools/install test");
}

absl::Status GiveToPostgres(const std::string& folder) {
  if (geteuid() != 0) return absl::OkStatus();
  const passwd* user = getpwnam(kUser);
  if (user == nullptr) {
    return absl::NotFoundError(absl::StrCat("there is no user ", kUser));
  }
  if (chown(folder.c_str(), user->pw_uid, user->pw_gid) == 0) {
    return absl::OkStatus();
  }
  return SystemError(absl::StrCat("change the owner of ", folder), errno);
}

// Starts a program that is killed when the calling thread ends, with output to
// `log`. The program has its own process group, so that Ctrl-C does not reach
// it. `variable`, NAME=VALUE, is added to its environment.
absl::StatusOr<pid_t> Spawn(const std::vector<std::string>& command,
                            const std::string& log,
                            const std::string& variable = "") {
  std::vector<std::string> words;
  if (!variable.empty()) words = {"env", variable};
  words.insert(words.end(), {"setpriv", "--pdeathsig=QUIT"});
  if (geteuid() == 0) {
    words.insert(words.end(),
                 {absl::StrCat("--reuid=", kUser),
                  absl::StrCat("--regid=", kUser), "--init-groups"});
  }
  words.insert(words.end(), command.begin(), command.end());
  std::vector<char*> argv;
  argv.reserve(words.size() + 1);
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);

  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null",
                                   O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, log.c_str(),
                                   O_WRONLY | O_CREAT | O_APPEND, 0644);
  posix_spawn_file_actions_adddup2(&actions, STDOUT_FILENO, STDERR_FILENO);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
  pid_t pid = 0;
  const int error =
      posix_spawnp(&pid, argv[0], &actions, &attributes, argv.data(), environ);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0)
    return SystemError(absl::StrCat("run ", words.front()), error);
  return pid;
}

std::string LogOf(const std::string& folder) { return folder + "/log"; }

// Stops a child by SIGSTOP, unless it is stopped already. Returns when it has
// stopped or ended.
void StopProcess(pid_t pid) {
  kill(pid, SIGSTOP);
  siginfo_t ignored;
  waitid(P_PID, static_cast<id_t>(pid), &ignored, WSTOPPED | WEXITED | WNOWAIT);
}

// Waits for a process. Kills the process if it does not end in time.
bool EndsWell(pid_t pid) {
  const bool in_time = AwaitReadable({WatchEnd(pid).get()});
  if (!in_time) kill(pid, SIGKILL);
  int status = 0;
  waitpid(pid, &status, 0);
  return in_time && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

// Waits until the processes behind the descriptors have ended.
absl::Status AwaitEnds(const std::vector<Descriptor>& processes) {
  for (const Descriptor& process : processes) {
    if (process.get() >= 0 && !AwaitReadable({process.get()})) {
      return absl::UnavailableError("a process of PostgreSQL does not end");
    }
  }
  return absl::OkStatus();
}

std::vector<pid_t> ChildrenOf(pid_t parent) {
  std::ifstream file(
      absl::StrCat("/proc/", parent, "/task/", parent, "/children"));
  std::vector<pid_t> children;
  for (pid_t child = 0; file >> child;) children.push_back(child);
  return children;
}

// A socket to which PostgreSQL reports that it accepts connections, by
// systemd's protocol (sd_notify(3)). The kernel chooses the socket's name.
class ReadySocket {
 public:
  ReadySocket() : socket_(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = {}};
    socklen_t length = sizeof(address.sun_family);
    bind(socket_.get(), reinterpret_cast<sockaddr*>(&address), length);
    length = sizeof(address);
    getsockname(socket_.get(), reinterpret_cast<sockaddr*>(&address), &length);
    // The name begins with a zero byte, which is written as "@".
    const std::size_t path = offsetof(sockaddr_un, sun_path);
    if (length > path + 1) {
      name_ = absl::StrCat(
          "@", absl::string_view(address.sun_path + 1, length - path - 1));
    }
  }

  int get() const { return socket_.get(); }
  const std::string& name() const { return name_; }

 private:
  Descriptor socket_;
  std::string name_;
};

// Returns `text` encoded as a value in a URL.
std::string Escape(absl::string_view text) {
  std::string escaped;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (std::isalnum(byte) != 0 || absl::StrContains("/._-", c)) {
      escaped.push_back(c);
    } else {
      absl::StrAppendFormat(&escaped, "%%%02X", byte);
    }
  }
  return escaped;
}

// Runs a program that creates `folder`/data.
absl::Status MakeData(const std::string& folder, const std::string& program,
                      const std::vector<std::string>& arguments) {
  const auto programs = ProgramsFolder();
  if (!programs.ok()) return programs.status();
  const absl::Status given = GiveToPostgres(folder);
  if (!given.ok()) return given;
  std::vector<std::string> command = {
      absl::StrCat(*programs, "/", program),
      absl::StrCat("--pgdata=", folder, "/data")};
  command.insert(command.end(), arguments.begin(), arguments.end());
  const auto pid = Spawn(command, LogOf(folder));
  if (!pid.ok()) return pid.status();
  if (EndsWell(*pid)) return absl::OkStatus();
  return absl::UnavailableError(
      absl::StrCat(program, " fails; see ", LogOf(folder)));
}

}  // namespace

absl::Status AdmitOtherUsers(const std::string& folder) {
  std::error_code error;
  fs::permissions(folder, fs::perms::others_exec, fs::perm_options::add, error);
  if (!error) return absl::OkStatus();
  return absl::UnavailableError(
      absl::StrCat("cannot admit users to ", folder, ": ", error.message()));
}

absl::Status LocalPostgres::MakeCluster(const std::string& folder) {
  return MakeData(folder, "initdb",
                  {"--username=sluice", "--auth=trust", "--encoding=UTF8",
                   "--no-locale", "--wal-segsize=1"});
}

absl::Status LocalPostgres::MakeStandby(const std::string& folder,
                                        const LocalPostgres& primary) {
  std::error_code error;
  fs::remove_all(folder + "/data", error);
  if (error) {
    return absl::UnavailableError(
        absl::StrCat("cannot remove ", folder, "/data: ", error.message()));
  }
  return MakeData(folder, "pg_basebackup",
                  {"--host=" + primary.folder_, "--username=sluice",
                   "--checkpoint=fast", "--write-recovery-conf", "--no-sync"});
}

LocalPostgres::~LocalPostgres() {
  if (!running()) return;
  Resume();  // a paused process would not end
  kill(pid_, SIGQUIT);
  waitpid(pid_, nullptr, 0);
}

std::string LocalPostgres::Url(absl::string_view database) const {
  return absl::StrCat("postgresql:///", database,
                      "?user=sluice&host=", UrlHost());
}

std::string LocalPostgres::UrlHost() const { return Escape(folder_); }

bool LocalPostgres::running() const {
  if (pid_ != 0 && waitpid(pid_, nullptr, WNOHANG) == pid_) pid_ = 0;
  return pid_ != 0;
}

absl::Status LocalPostgres::Start() {
  const auto programs = ProgramsFolder();
  if (!programs.ok()) return programs.status();
  const absl::Status given = GiveToPostgres(folder_);
  if (!given.ok()) return given;
  const ReadySocket ready;
  std::vector<std::string> command = {*programs + "/postgres",
                                      "-D",
                                      folder_ + "/data",
                                      "-k",
                                      folder_,
                                      "-h",
                                      "",
                                      "-c",
                                      "shared_buffers=16MB"};
  for (const std::string& setting : settings_) {
    command.insert(command.end(), {"-c", setting});
  }
  const auto pid = Spawn(command, LogOf(folder_),
                         absl::StrCat("NOTIFY_SOCKET=", ready.name()));
  if (!pid.ok()) return pid.status();
  pid_ = *pid;
  const bool in_time = AwaitReadable({ready.get(), WatchEnd(pid_).get()});
  if (in_time && running()) return absl::OkStatus();
  return absl::UnavailableError(
      absl::StrCat("PostgreSQL does not start; see ", LogOf(folder_)));
}

absl::Status LocalPostgres::Stop() {
  SLUICE_DCHECK(running());  // otherwise kill(0, ...) would signal this process
  kill(pid_, SIGINT);
  const bool well = EndsWell(pid_);
  pid_ = 0;
  if (well) return absl::OkStatus();
  return absl::UnavailableError(
      absl::StrCat("PostgreSQL did not stop cleanly; see ", LogOf(folder_)));
}

void LocalPostgres::Pause() {
  SLUICE_DCHECK(running());
  // Stop the main process first, so that it starts no more processes.
  StopProcess(pid_);
  for (const pid_t child : ChildrenOf(pid_)) kill(child, SIGSTOP);
}

void LocalPostgres::Resume() {
  SLUICE_DCHECK(running());
  for (const pid_t child : ChildrenOf(pid_)) kill(child, SIGCONT);
  kill(pid_, SIGCONT);
}

absl::Status LocalPostgres::Kill() {
  SLUICE_DCHECK(running());
  // Stop the server first, so that it starts no more processes.
  StopProcess(pid_);
  std::vector<Descriptor> ends;
  for (const pid_t child : ChildrenOf(pid_)) {
    ends.push_back(WatchEnd(child));
    kill(child, SIGKILL);
  }
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
  pid_ = 0;
  return AwaitEnds(ends);
}

absl::Status LocalPostgres::KillMain() {
  Pause();  // so that the server starts no more processes
  std::vector<Descriptor> ends;
  const std::vector<pid_t> children = ChildrenOf(pid_);
  for (const pid_t child : children) ends.push_back(WatchEnd(child));
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
  pid_ = 0;
  for (const pid_t child : children) kill(child, SIGCONT);
  return AwaitEnds(ends);
}

std::vector<PostgresProcess> LocalPostgres::Processes() const {
  SLUICE_DCHECK(running());
  std::vector<PostgresProcess> processes;
  for (const pid_t child : ChildrenOf(pid_)) {
    std::ifstream file(absl::StrCat("/proc/", child, "/cmdline"));
    std::string title;
    std::getline(file, title, '\0');
    processes.push_back({.pid = child, .title = std::move(title)});
  }
  return processes;
}

}  // namespace sluice
