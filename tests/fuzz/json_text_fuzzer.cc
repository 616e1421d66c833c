// JsonWriter writes JSON. Strings are read back unchanged, with U+FFFD for
// bytes that are not UTF-8. IsJsonNumber agrees with a JSON parser.

#include <string>
#include <vector>

#include "forms/json_text.h"
#include "nlohmann/json.hpp"
#include "tests/fuzz/fuzz.h"

namespace sluice {
namespace {

using Library = nlohmann::json;

void CheckString(std::string_view text) {
  std::string json;
  AppendJsonString(text, json);
  const Library read =
      Library::parse(json, nullptr, /*allow_exceptions=*/false);
  Require(read.is_string(), "AppendJsonString writes a JSON string");
  Require(read.get_ref<const std::string&>() == WithoutInvalidUtf8(text),
          "a string is read as it was written");
}

// Compares with the JSON library. Skips numbers that are too large for a
// double: the library rejects them, although RFC 8259 allows them.
void CheckNumber(std::string_view text) {
  const bool bare =
      text.find_first_not_of("+-.0123456789eE") == std::string_view::npos;
  if (!bare) return Require(!IsJsonNumber(text), "a number has no letters");
  bool accepted = false;
  try {
    accepted = Library::parse(text).is_number();
  } catch (const Library::out_of_range&) {
    return;
  } catch (const Library::exception&) {
  }
  Require(IsJsonNumber(text) == accepted, "IsJsonNumber and the library agree");
}

// Writes a value that the input describes. It may be an array or an object of
// further values.
void WriteValue(InputReader& input, JsonWriter& json, int max_depth) {
  switch (max_depth > 0 ? input.Below(5) : input.Below(3)) {
    case 0:
      return json.String(input.Text());
    case 1:
      return json.Bare("-1.5e3");
    case 2:
      return json.Bare(input.Flag() ? "true" : "false");
    case 3:
      json.BeginArray();
      while (input.Flag()) WriteValue(input, json, max_depth - 1);
      return json.EndArray();
    default:
      json.BeginObject();
      while (input.Flag()) {
        json.Name(input.Text());
        WriteValue(input, json, max_depth - 1);
      }
      return json.EndObject();
  }
}

}  // namespace

void FuzzOne(std::string_view input) {
  CheckString(input);
  CheckNumber(input);
  InputReader reader(input);
  std::string document;
  JsonWriter json(document);
  WriteValue(reader, json, 20);
  Require(Library::accept(document), "JsonWriter writes JSON");
  Require(document.find('\n') == std::string::npos, "on one line");
}

}  // namespace sluice
