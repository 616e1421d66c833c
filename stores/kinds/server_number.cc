#include "stores/kinds/server_number.h"

#include <limits.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <string_view>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace sluice {
namespace {

constexpr std::string_view kVariablePrefix = "env:";
constexpr std::string_view kHostName = "hostname";

std::optional<std::int64_t> Parse(std::string_view digits, std::int64_t max) {
  std::int64_t number = 0;
  const bool plain =
      !digits.empty() && std::ranges::all_of(digits, [](unsigned char c) {
        return absl::ascii_isdigit(c);
      });
  if (!plain || !absl::SimpleAtoi(std::string(digits), &number) ||
      number > max) {
    return std::nullopt;
  }
  return number;
}

ServerNumber Error(std::string error) {
  return {.number = {}, .error = std::move(error)};
}

ServerNumber OfVariable(const std::string& name, std::int64_t max,
                        const ServerNumberSources& sources) {
  const std::optional<std::string> value = sources.variable(name);
  if (!value.has_value()) {
    return Error(
        absl::StrCat("the environment variable ", name, " is not set"));
  }
  if (const auto number = Parse(*value, max)) {
    return {.number = number, .error = {}};
  }
  return Error(absl::StrCat("the environment variable ", name,
                            " must be a number from 0 to ", max));
}

ServerNumber OfHostName(std::int64_t max, const ServerNumberSources& sources) {
  const std::string name = sources.host_name();
  const std::string_view first =
      std::string_view(name).substr(0, std::min(name.find('.'), name.size()));
  const std::size_t dash = first.rfind('-');
  if (dash != std::string_view::npos) {
    if (const auto number = Parse(first.substr(dash + 1), max)) {
      return {.number = number, .error = {}};
    }
  }
  return Error(absl::StrCat("the host name ", name,
                            " must end with '-' and a number from 0 to ", max,
                            ", such as sluice-2"));
}

}  // namespace

ServerNumberSources SystemServerNumberSources() {
  return {
      .variable = [](const std::string& name) -> std::optional<std::string> {
        const char* value = std::getenv(name.c_str());
        if (value == nullptr) return std::nullopt;
        return value;
      },
      .host_name = []() -> std::string {
        char name[HOST_NAME_MAX + 1] = {};
        return gethostname(name, HOST_NAME_MAX) == 0 ? name : "";
      }};
}

ServerNumber ReadServerNumber(const std::string& text, std::int64_t max,
                              const ServerNumberSources& sources) {
  if (text == kHostName) return OfHostName(max, sources);
  if (text.starts_with(kVariablePrefix) &&
      text.size() > kVariablePrefix.size()) {
    return OfVariable(text.substr(kVariablePrefix.size()), max, sources);
  }
  if (const auto number = Parse(text, max)) {
    return {.number = number, .error = {}};
  }
  return Error(absl::StrCat("must be a number from 0 to ", max,
                            ", env:NAME for an environment variable, or "
                            "hostname for the number at the end of the host "
                            "name"));
}

}  // namespace sluice
