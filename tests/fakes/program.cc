#include "tests/fakes/program.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <fstream>
#include <iterator>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "tests/fakes/patience.h"

namespace sluice {
namespace {

std::string ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace

Program::Program(const std::string& program,
                 const std::vector<std::string>& arguments,
                 const std::string& input) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, input.c_str(),
                                   O_RDONLY, 0);
  constexpr int kFlags = O_WRONLY | O_CREAT | O_TRUNC;
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO,
                                   (folder_ / "out").c_str(), kFlags, 0600);
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO,
                                   (folder_ / "err").c_str(), kFlags, 0600);
  std::vector<char*> argv = {const_cast<char*>(program.c_str())};
  for (const std::string& argument : arguments) {
    argv.push_back(const_cast<char*>(argument.c_str()));
  }
  argv.push_back(nullptr);
  const int error = posix_spawnp(&pid_, program.c_str(), &actions, nullptr,
                                 argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (error == 0) return;
  ADD_FAILURE() << "cannot start " << program << ": " << std::strerror(error);
  end_ = End();
}

Program::~Program() {
  if (Ended()) return;
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
}

void Program::Signal(int signal) const {
  if (!end_.has_value()) kill(pid_, signal);
}

std::string Program::out() const { return ReadFile(folder_ / "out"); }

std::string Program::err() const { return ReadFile(folder_ / "err"); }

void Program::AwaitErr(std::string_view text) const {
  const std::string wanted(text);
  AwaitThat(absl::StrCat("a program writes: ", wanted),
            [&] { return absl::StrContains(err(), wanted); });
}

Program::End Program::Wait() {
  AwaitThat("a program ends", [this] { return Ended(); });
  return end_.value_or(End());
}

bool Program::Ended() {
  int status = 0;
  if (end_.has_value()) return true;
  if (waitpid(pid_, &status, WNOHANG) != pid_) return false;
  end_ = WIFEXITED(status) ? End{.exit_code = WEXITSTATUS(status), .signal = 0}
                           : End{.exit_code = -1, .signal = WTERMSIG(status)};
  return true;
}

}  // namespace sluice
