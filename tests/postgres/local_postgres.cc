#include "tests/postgres/local_postgres.h"

#include <fcntl.h>
#include <libpq-fe.h>
#include <pwd.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <system_error>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/check.h"

namespace sluice {
namespace {

namespace fs = std::filesystem;

constexpr char kUser[] = "postgres";
// Generous limit: a healthy server needs far less.
constexpr absl::Duration kLimit = absl::Seconds(60);
constexpr absl::Duration kPause = absl::Milliseconds(2);

absl::Status SystemError(absl::string_view doing, int error) {
  return absl::UnavailableError(
      absl::StrCat("cannot ", doing, ": ", std::strerror(error)));
}

template <typename Condition>
absl::Status AwaitThat(absl::string_view what, Condition condition) {
  const absl::Time deadline = absl::Now() + kLimit;
  while (!condition()) {
    if (absl::Now() > deadline) {
      return absl::UnavailableError(
          absl::StrCat("waited in vain until ", what));
    }
    absl::SleepFor(kPause);
  }
  return absl::OkStatus();
}

// Returns the folder of Debian's PostgreSQL programs, of the newest version.
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

// Starts a program that is killed when the calling thread ends. Its output goes
// to `log`. The program has its own process group, so that Ctrl-C does not
// reach it.
absl::StatusOr<pid_t> Spawn(const std::vector<std::string>& command,
                            const std::string& log) {
  std::vector<std::string> words = {"setpriv", "--pdeathsig=QUIT"};
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
  if (error != 0) return SystemError("run setpriv", error);
  return pid;
}

std::string LogOf(const std::string& folder) { return folder + "/log"; }

// Waits for a process. Kills the process if it does not end in time.
bool EndsWell(pid_t pid) {
  int status = 0;
  const absl::Status ended = AwaitThat("a program ends", [pid, &status] {
    return waitpid(pid, &status, WNOHANG) == pid;
  });
  if (ended.ok()) return WIFEXITED(status) && WEXITSTATUS(status) == 0;
  kill(pid, SIGKILL);
  waitpid(pid, nullptr, 0);
  return false;
}

std::vector<pid_t> ChildrenOf(pid_t parent) {
  std::ifstream file(
      absl::StrCat("/proc/", parent, "/task/", parent, "/children"));
  std::vector<pid_t> children;
  for (pid_t child = 0; file >> child;) children.push_back(child);
  return children;
}

// True if the process has ended, even if its parent has not reaped it yet.
bool HasEnded(pid_t process) {
  std::ifstream file(absl::StrCat("/proc/", process, "/stat"));
  std::string number;
  std::string name;
  std::string state;
  return !(file >> number >> name >> state) || state == "Z";
}

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

}  // namespace

absl::Status LocalPostgres::MakeCluster(const std::string& folder) {
  const auto programs = ProgramsFolder();
  if (!programs.ok()) return programs.status();
  const absl::Status given = GiveToPostgres(folder);
  if (!given.ok()) return given;
  const auto initdb =
      Spawn({*programs + "/initdb", absl::StrCat("--pgdata=", folder, "/data"),
             "--username=sluice", "--auth=trust", "--encoding=UTF8",
             "--no-locale", "--wal-segsize=1"},
            LogOf(folder));
  if (!initdb.ok()) return initdb.status();
  if (EndsWell(*initdb)) return absl::OkStatus();
  return absl::UnavailableError(
      absl::StrCat("initdb fails; see ", LogOf(folder)));
}

LocalPostgres::~LocalPostgres() {
  if (!running()) return;
  kill(pid_, SIGQUIT);
  waitpid(pid_, nullptr, 0);
}

std::string LocalPostgres::Url(absl::string_view database) const {
  return absl::StrCat("postgresql:///", database,
                      "?user=sluice&host=", Escape(folder_));
}

absl::Status LocalPostgres::Start() {
  const auto programs = ProgramsFolder();
  if (!programs.ok()) return programs.status();
  const absl::Status given = GiveToPostgres(folder_);
  if (!given.ok()) return given;
  const auto pid =
      Spawn({*programs + "/postgres", "-D", folder_ + "/data", "-k", folder_,
             "-h", "", "-c", "fsync=on", "-c", "shared_buffers=16MB"},
            LogOf(folder_));
  if (!pid.ok()) return pid.status();
  pid_ = *pid;
  return AwaitConnections();
}

absl::Status LocalPostgres::AwaitConnections() {
  const std::string url = Url("postgres");
  const absl::Status status =
      AwaitThat("PostgreSQL takes connections", [this, &url] {
        if (waitpid(pid_, nullptr, WNOHANG) == pid_) pid_ = 0;
        return !running() || PQping(url.c_str()) == PQPING_OK;
      });
  if (running()) return status;
  return absl::UnavailableError(
      absl::StrCat("PostgreSQL does not start; see ", LogOf(folder_)));
}

absl::Status LocalPostgres::Stop() {
  SLUICE_DCHECK(running());  // kill(0, ...) would signal this process
  kill(pid_, SIGINT);
  const bool well = EndsWell(pid_);
  pid_ = 0;
  if (well) return absl::OkStatus();
  return absl::UnavailableError(
      absl::StrCat("PostgreSQL did not stop cleanly; see ", LogOf(folder_)));
}

absl::Status LocalPostgres::Kill() {
  SLUICE_DCHECK(running());
  // Stopped by a signal, the server starts no more processes.
  kill(pid_, SIGSTOP);
  waitpid(pid_, nullptr, WUNTRACED);
  const std::vector<pid_t> children = ChildrenOf(pid_);
  for (const pid_t child : children) kill(child, SIGKILL);
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
  pid_ = 0;
  return AwaitThat("all processes of PostgreSQL have ended", [&children] {
    return std::ranges::all_of(children, HasEnded);
  });
}

}  // namespace sluice
