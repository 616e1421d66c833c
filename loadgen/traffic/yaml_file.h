// Reads descriptions and configurations from files.

#ifndef SLUICE_LOADGEN_TRAFFIC_YAML_FILE_H_
#define SLUICE_LOADGEN_TRAFFIC_YAML_FILE_H_

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/files.h"
#include "config/config_error.h"

namespace sluice {

// Parses a file with `parse`. Returns INVALID_ARGUMENT if the file cannot be
// read or has errors, with one line for each error.
template <typename Parsed>
absl::StatusOr<Parsed> ReadYamlFile(const std::string& path,
                                    Parsed (*parse)(std::string_view,
                                                    ConfigErrors*)) {
  const auto text = ReadFile(path);
  if (!text.ok()) return text.status();
  ConfigErrors errors;
  Parsed parsed = parse(*text, &errors);
  if (errors.empty()) return parsed;
  return absl::InvalidArgumentError(absl::StrJoin(
      errors, "\n", [&path](std::string* out, const ConfigError& error) {
        absl::StrAppend(out, error.ToString(path));
      }));
}

}  // namespace sluice

#endif  // SLUICE_LOADGEN_TRAFFIC_YAML_FILE_H_
