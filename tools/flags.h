// Command lines of the tools: Abseil's flags, with exit codes of our own.
//
// absl::ParseCommandLine ends the process with exit code 1 on bad usage. The
// tools promise 2, and a message without the help of all linked libraries.

#ifndef SLUICE_TOOLS_FLAGS_H_
#define SLUICE_TOOLS_FLAGS_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace sluice {

inline constexpr int kExitUsage = 2;

struct CommandLine {
  bool help = false;  // --help or -h was among the arguments
  std::vector<std::string> positional;
};

// Sets the flags (`--name=value`, `--name value`, for a bool also `--name` and
// `--noname`) and returns the rest; all that follows `--` is positional.
// INVALID_ARGUMENT, with the flag's name, where a flag is not known, has no
// value or one that does not parse.
absl::StatusOr<CommandLine> ParseCommandLine(int argc, const char* const* argv);

// The flags that `source_file` (e.g. "tools/load/main.cc") defines, a line
// each: name, meaning, default.
std::string DescribeFlags(absl::string_view source_file);

}  // namespace sluice

#endif  // SLUICE_TOOLS_FLAGS_H_
