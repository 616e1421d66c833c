// A program that runs during a test.

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
  // Starts a program. `program` is a path, or a name that is searched for in
  // PATH. Its standard input is the file `input`. Fails the test if the program
  // cannot be started.
  Program(const std::string& program, const std::vector<std::string>& arguments,
          const std::string& input = "/dev/null");
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;
  // Kills the program if it is still running.
  ~Program();

  pid_t pid() const { return pid_; }
  void Signal(int signal) const;

  // Return the output of the program so far: stdout and stderr.
  std::string out() const;
  std::string err() const;
  // Waits until the program has written `text` to stderr. Fails the test after
  // kPatience.
  void AwaitErr(std::string_view text) const;

  // The way in which the program ended.
  struct End {
    int exit_code = -1;  // -1 after a signal
    int signal = 0;      // 0 if there was no signal
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
