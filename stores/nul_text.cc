#include "stores/nul_text.h"

#include <cstddef>

namespace sluice {
namespace {

constexpr std::string_view kReplacement = "\xef\xbf\xbd";  // U+FFFD
constexpr std::string_view kEscape = "\\u0000";

}  // namespace

bool HasNul(std::string_view text) {
  return text.find('\0') != std::string_view::npos;
}

bool HasNulInJson(std::string_view json) {
  return HasNul(json) || json.find(kEscape) != std::string_view::npos;
}

std::string ReplaceNul(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '\0') {
      out += kReplacement;
    } else {
      out += c;
    }
  }
  return out;
}

std::string ReplaceNulInJson(std::string_view json) {
  std::string out;
  out.reserve(json.size());
  for (std::size_t i = 0; i < json.size();) {
    // Skip an escaped backslash, which may precede a `u`.
    const std::size_t size = json[i] != '\\'                ? 1
                             : json.substr(i, 6) == kEscape ? 6
                                                            : 2;
    const std::string_view piece = json.substr(i, size);
    out +=
        size == 6 || piece == std::string_view("\0", 1) ? kReplacement : piece;
    i += size;
  }
  return out;
}

}  // namespace sluice
