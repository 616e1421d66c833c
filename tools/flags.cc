#include "tools/flags.h"

#include <map>
#include <optional>
#include <span>

#include "absl/flags/reflection.h"
#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"

namespace sluice {
namespace {

// A flag as written on the command line: its name and the value after `=`.
struct Written {
  absl::CommandLineFlag* flag = nullptr;
  std::optional<std::string> value;
};

Written FindFlag(absl::string_view argument) {
  absl::ConsumePrefix(&argument, "--");
  const std::size_t equals = argument.find('=');
  const absl::string_view name = argument.substr(0, equals);
  if (equals != absl::string_view::npos) {
    return {absl::FindCommandLineFlag(name),
            std::string(argument.substr(equals + 1))};
  }
  if (auto* flag = absl::FindCommandLineFlag(name)) {
    if (flag->IsOfType<bool>()) return {flag, "true"};
    return {flag, std::nullopt};
  }
  absl::string_view positive = name;
  if (absl::ConsumePrefix(&positive, "no")) {
    auto* flag = absl::FindCommandLineFlag(positive);
    if (flag != nullptr && flag->IsOfType<bool>()) return {flag, "false"};
  }
  return {};
}

}  // namespace

absl::StatusOr<CommandLine> ParseCommandLine(int argc,
                                             const char* const* argv) {
  CommandLine line;
  const std::span arguments(argv, static_cast<std::size_t>(argc));
  bool flags_ended = false;
  for (std::size_t i = 1; i < arguments.size(); ++i) {
    const absl::string_view argument = arguments[i];
    if (flags_ended || !absl::StartsWith(argument, "-") || argument == "-") {
      line.positional.emplace_back(argument);
      continue;
    }
    if (argument == "--") {
      flags_ended = true;
      continue;
    }
    if (argument == "--help" || argument == "-h") {
      line.help = true;
      continue;
    }
    Written written;
    if (absl::StartsWith(argument, "--")) written = FindFlag(argument);
    if (written.flag == nullptr) {
      return absl::InvalidArgumentError(absl::StrCat(
          "unknown flag ", argument.substr(0, argument.find('='))));
    }
    if (!written.value) {
      if (i + 1 == arguments.size()) {
        return absl::InvalidArgumentError(
            absl::StrCat("flag --", written.flag->Name(), " needs a value"));
      }
      written.value = arguments[++i];
    }
    std::string error;
    if (!written.flag->ParseFrom(*written.value, &error)) {
      return absl::InvalidArgumentError(
          absl::StrCat("flag --", written.flag->Name(), " does not take \"",
                       *written.value, "\"", error.empty() ? "" : ": ", error));
    }
  }
  return line;
}

std::string DescribeFlags(absl::string_view source_file) {
  std::map<absl::string_view, const absl::CommandLineFlag*> sorted;
  for (const auto& [name, flag] : absl::GetAllFlags()) {
    if (absl::EndsWith(flag->Filename(), source_file)) sorted[name] = flag;
  }
  std::string text;
  for (const auto& [name, flag] : sorted) {
    absl::StrAppendFormat(&text, "  --%-14s %s", name, flag->Help());
    const std::string value = flag->DefaultValue();
    if (!value.empty() && value != "false" && value != "0" && value != "inf") {
      absl::StrAppend(&text, " (default: ", value, ")");
    }
    text.push_back('\n');
  }
  return text;
}

}  // namespace sluice
