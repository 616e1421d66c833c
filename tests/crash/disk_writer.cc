// disk_writer FILE STEP...: performs steps on a file in order, and then ends
// like a killed process.
//   write:OFFSET:TEXT  append:TEXT  truncate:SIZE  sync  datasync  unlink
//   lock  locked (fails if another process finds no lock)

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "absl/strings/str_split.h"

namespace sluice {
namespace {

bool Lock(int file) {
  struct flock lock {};
  lock.l_type = F_WRLCK;
  return fcntl(file, F_SETLK, &lock) == 0;
}

// Tests the lock from another process, because locks do not conflict within one
// process.
bool IsLockedForOthers(int file) {
  const pid_t child = fork();
  if (child == 0) _exit(Lock(file) ? EXIT_FAILURE : EXIT_SUCCESS);
  int status = 0;
  return child > 0 && waitpid(child, &status, 0) == child && status == 0;
}

bool Do(int file, const std::string& path, const std::string& step) {
  const std::vector<std::string> words = absl::StrSplit(step, ':');
  const std::string& what = words.front();
  if (what == "sync") return fsync(file) == 0;
  if (what == "datasync") return fdatasync(file) == 0;
  if (what == "lock") return Lock(file);
  if (what == "locked") return IsLockedForOthers(file);
  if (what == "unlink") return unlink(path.c_str()) == 0;
  if (what == "truncate") return ftruncate(file, std::stoi(words[1])) == 0;
  if (what == "append") {
    const std::string& text = words[1];
    lseek(file, 0, SEEK_END);
    return write(file, text.data(), text.size()) ==
           static_cast<ssize_t>(text.size());
  }
  const std::string& text = words[2];
  return what == "write" &&
         pwrite(file, text.data(), text.size(), std::stoi(words[1])) ==
             static_cast<ssize_t>(text.size());
}

}  // namespace
}  // namespace sluice

int main(int argc, char** argv) {
  const std::vector<std::string> arguments(argv, argv + argc);
  const int file =
      open(arguments[1].c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  for (std::size_t i = 2; i < arguments.size(); ++i) {
    if (!sluice::Do(file, arguments[1], arguments[i])) _exit(EXIT_FAILURE);
  }
  _exit(EXIT_SUCCESS);
}
