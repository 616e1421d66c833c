// Command lines of the tools: Abseil's flags with the tools' own exit codes.
//
// absl::ParseCommandLine ends the process with exit code 1 on bad usage. The
// tools promise exit code 2, and a message without the help texts of all linked
// libraries.

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
// `--noname`) and returns the remaining arguments. Arguments after `--` are
// positional. Returns INVALID_ARGUMENT, with the flag's name, if a flag is
// unknown, or its value is missing or cannot be parsed.
absl::StatusOr<CommandLine> ParseCommandLine(int argc, const char* const* argv);

// Describes the flags that `source_file` (e.g. "tools/load/main.cc") defines,
// one line per flag: name, meaning, default.
std::string DescribeFlags(absl::string_view source_file);

}  // namespace sluice

#endif  // SLUICE_TOOLS_FLAGS_H_
