// Reads JSON into a tree that keeps numbers as they were written. The JSON
// library's own tree turns the decimal 1.10 into the double 1.1.

#ifndef SLUICE_FORMS_JSON_TREE_H_
#define SLUICE_FORMS_JSON_TREE_H_

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"

namespace sluice {

struct JsonNumber {
  std::string text;
  // True if the number was written without fraction and exponent and fits 64
  // bits.
  bool is_integer = false;
};

struct Json {
  using Array = std::vector<Json>;
  using Object = std::map<std::string, Json, std::less<>>;

  // std::monostate means null.
  std::variant<std::monostate, bool, JsonNumber, std::string, Array, Object>
      value;
};

// Reads a JSON text. Thread-safe. INVALID_ARGUMENT if
// - `text` is not JSON (RFC 8259) in UTF-8,
// - an object has a name twice,
// - arrays and objects are nested deeper than `max_depth`, which is at least 1,
// - a number is too large for a double (1e400).
// Error texts name the path or the byte, and contain no value.
absl::StatusOr<Json> ParseJson(std::string_view text, int max_depth);

}  // namespace sluice

#endif  // SLUICE_FORMS_JSON_TREE_H_
