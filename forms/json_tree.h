// A JSON text as a tree that keeps numbers as they were written: the JSON
// library's own tree would turn the decimal 1.10 into the double 1.1.

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
  // Whether it was written without fraction and exponent, and fits 64 bits.
  bool is_integer = false;
};

struct Json {
  using Array = std::vector<Json>;
  using Object = std::map<std::string, Json, std::less<>>;

  // std::monostate stands for null.
  std::variant<std::monostate, bool, JsonNumber, std::string, Array, Object>
      value;
};

// INVALID_ARGUMENT where `text` is not JSON (RFC 8259, UTF-8), where an object
// has a name twice, or where arrays and objects are nested deeper than
// `max_depth`. Error texts name the path or the byte, and contain no value.
absl::StatusOr<Json> ParseJson(std::string_view text, int max_depth);

}  // namespace sluice

#endif  // SLUICE_FORMS_JSON_TREE_H_
