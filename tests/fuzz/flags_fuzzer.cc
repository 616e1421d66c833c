// Any command line is read, or is rejected with an error that has a text. The
// positional arguments are some of the arguments, in their order.
//
// Input: the arguments, each ended by a zero byte.

#include <algorithm>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/reflection.h"
#include "absl/strings/str_split.h"
#include "absl/time/time.h"
#include "tests/fuzz/fuzz.h"
#include "tools/flags.h"

ABSL_FLAG(int, fuzz_count, 1, "count");
ABSL_FLAG(bool, fuzz_switch, false, "switch");
ABSL_FLAG(double, fuzz_rate, 1.5, "rate");
ABSL_FLAG(std::string, fuzz_text, "", "text");
ABSL_FLAG(absl::Duration, fuzz_time, absl::Seconds(1), "time");

namespace sluice {

void FuzzOne(std::string_view input) {
  constexpr std::size_t kArgumentsMax = 64;
  std::vector<std::string> arguments =
      absl::StrSplit(absl::string_view(input.data(), input.size()),
                     absl::MaxSplits('\0', kArgumentsMax));
  std::vector<const char*> argv = {"fuzz"};
  for (const std::string& argument : arguments) {
    argv.push_back(argument.c_str());
  }
  const absl::FlagSaver saver;
  const auto line =
      ParseCommandLine(static_cast<int>(argv.size()), argv.data());
  if (!line.ok()) {
    return Require(!line.status().message().empty(), "an error has a text");
  }
  // C strings, as ParseCommandLine sees them.
  auto argument = argv.begin() + 1;
  for (const std::string& positional : line->positional) {
    argument = std::find(argument, argv.end(), positional);
    Require(argument != argv.end(),
            "positional arguments are arguments, in their order");
    ++argument;
  }
}

}  // namespace sluice
