// ChangeConfig turns any two valid configurations into a valid configuration.
// The result differs from the running configuration only in values that can
// change live. Loading the same file again changes nothing.
//
// Input: two YAML texts, separated by a line "===".

#include <algorithm>
#include <string>

#include "config/config.h"
#include "config/config_change.h"
#include "tests/fuzz/fuzz.h"

namespace sluice {

void FuzzOne(std::string_view input) {
  constexpr std::string_view kSeparator = "\n===\n";
  const std::size_t separator = input.find(kSeparator);
  if (separator == std::string_view::npos) return;
  ConfigErrors errors;
  const Config running = ParseConfig(input.substr(0, separator), &errors);
  if (!errors.empty()) return;
  const Config fresh =
      ParseConfig(input.substr(separator + kSeparator.size()), &errors);
  if (!errors.empty()) return;

  const ConfigChange change = ChangeConfig(running, fresh);
  const Config valid = ParseConfig(ConfigToYaml(change.config), &errors);
  Require(errors.empty(), "a configuration that changed live is valid");
  Require(valid == change.config, "it is written as it is");
  Require(change.needs_restart.empty() == (change.config == fresh),
          "keys need a restart where, and only where, something is kept");

  auto keys = change.needs_restart;
  std::ranges::sort(keys);
  Require(std::ranges::adjacent_find(keys) == keys.end(),
          "a key needs one restart");
  const ConfigChange again = ChangeConfig(change.config, fresh);
  Require(again.config == change.config &&
              again.needs_restart == change.needs_restart,
          "the same file changes nothing more");
  Require(ChangeConfig(running, running).needs_restart.empty(),
          "the running configuration needs no restart");
}

}  // namespace sluice
