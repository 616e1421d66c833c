// Any bytes are a valid configuration, or are rejected with errors that name a
// line or a key and have no control characters. A valid configuration is equal
// after ConfigToYaml wrote it and ParseConfig read it again.

#include <string>

#include "config/config.h"
#include "tests/fuzz/fuzz.h"

namespace sluice {
namespace {

// Errors about the whole file have neither line nor key.
bool IsAboutTheFile(const ConfigError& error) {
  return error.message.starts_with("the file ");
}

}  // namespace

void FuzzOne(std::string_view input) {
  ConfigErrors errors;
  const Config config = ParseConfig(input, &errors);
  for (const ConfigError& error : errors) {
    Require(error.line > 0 || !error.key.empty() || IsAboutTheFile(error),
            "an error names a line or a key");
    Require(!error.message.empty(), "an error has a message");
    Require(IsPrintable(error.ToString("config.yaml")),
            "an error has no control characters");
  }
  if (!errors.empty()) return;

  const Config again = ParseConfig(ConfigToYaml(config), &errors);
  Require(errors.empty(), "a configuration that was written is valid");
  Require(again == config, "a configuration that was written is read equal");
}

}  // namespace sluice
