// A program that runs while the test does.

#ifndef SLUICE_TESTS_FAKES_PROGRAM_H_
#define SLUICE_TESTS_FAKES_PROGRAM_H_

#include <sys/types.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tests/stores/store_fixture.h"

namespace sluice {

class Program {
 public:
  // `program` is a path, or a name to be found in PATH. Its standard input is
  // the file `input`. Fails the test if the program cannot be started.
  Program(const std::string& program, const std::vector<std::string>& arguments,
          const std::string& input = "/dev/null");
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;
  // Kills the program if it is still running.
  ~Program();

  pid_t pid() const { return pid_; }
  void Signal(int signal) const;

  // Return what the program has written so far to stdout and to stderr.
  std::string out() const;
  std::string err() const;
  // Waits until the program has written `text` to stderr. Fails the test after
  // kPatience.
  void AwaitErr(std::string_view text) const;

  // How the program ended.
  struct End {
    int exit_code = -1;  // -1 if a signal ended it
    int signal = 0;      // the signal; 0 if there was none
  };
  // Waits until the program has ended. Fails the test after kPatience.
  End Wait();

 private:
  bool Ended();

  const TempFolder folder_;
  pid_t pid_ = 0;
  std::optional<End> end_;
};

}  // namespace sluice

#endif  // SLUICE_TESTS_FAKES_PROGRAM_H_
