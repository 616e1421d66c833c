// A program that runs beside the test.

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
  // `program` is a path, or a name to be found in PATH; a failure of the test
  // where it cannot be started. It reads nothing, or the file `input`.
  Program(const std::string& program, const std::vector<std::string>& arguments,
          const std::string& input = "/dev/null");
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;
  // Kills it if it still runs.
  ~Program();

  pid_t pid() const { return pid_; }
  void Signal(int signal) const;

  // What it has written so far, on stdout and on stderr.
  std::string out() const;
  std::string err() const;
  // Waits, at most kPatience, until it has written `text` to stderr; a failure
  // of the test otherwise.
  void AwaitErr(std::string_view text) const;

  // How it ended.
  struct End {
    int exit_code = -1;  // -1 where a signal ended it
    int signal = 0;      // which one
  };
  // Waits, at most kPatience; a failure of the test otherwise.
  End Wait();

 private:
  bool Ended();

  const TempFolder folder_;
  pid_t pid_ = 0;
  std::optional<End> end_;
};

}  // namespace sluice

#endif  // SLUICE_TESTS_FAKES_PROGRAM_H_
