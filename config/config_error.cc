#include "config/config_error.h"

#include "absl/strings/str_cat.h"

namespace sluice {

std::string ConfigError::ToString(const std::string& file) const {
  std::string text = file;
  if (line > 0) absl::StrAppend(&text, ":", line);
  if (!key.empty()) absl::StrAppend(&text, ": ", key);
  return absl::StrCat(text, ": ", message);
}

}  // namespace sluice
