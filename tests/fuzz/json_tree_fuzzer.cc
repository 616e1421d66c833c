// ParseJson accepts the same documents as another JSON parser, except for
// objects with duplicate names, documents that are too deep, and zero bytes. A
// tree that is written out is read back equal.

#include <string>
#include <variant>

#include "absl/strings/match.h"
#include "forms/json_text.h"
#include "forms/json_tree.h"
#include "nlohmann/json.hpp"
#include "tests/fuzz/fuzz.h"

namespace sluice {
namespace {

constexpr int kMaxDepth = 30;

void Write(const Json& json, JsonWriter& out) {
  if (std::holds_alternative<std::monostate>(json.value)) {
    out.Bare("null");
  } else if (const auto* boolean = std::get_if<bool>(&json.value)) {
    out.Bare(*boolean ? "true" : "false");
  } else if (const auto* number = std::get_if<JsonNumber>(&json.value)) {
    Require(IsJsonNumber(number->text), "a number is kept as a JSON number");
    out.Bare(number->text);
  } else if (const auto* text = std::get_if<std::string>(&json.value)) {
    out.String(*text);
  } else if (const auto* array = std::get_if<Json::Array>(&json.value)) {
    out.BeginArray();
    for (const Json& element : *array) Write(element, out);
    out.EndArray();
  } else {
    out.BeginObject();
    for (const auto& [name, value] : std::get<Json::Object>(json.value)) {
      out.Name(name);
      Write(value, out);
    }
    out.EndObject();
  }
}

std::string Written(const Json& json) {
  std::string text;
  JsonWriter writer(text);
  Write(json, writer);
  return text;
}

}  // namespace

void FuzzOne(std::string_view input) {
  const auto tree = ParseJson(input, kMaxDepth);
  if (!tree.ok()) {
    const bool stricter =
        absl::StrContains(tree.status().message(), "duplicate") ||
        absl::StrContains(tree.status().message(), "nested") ||
        input.find('\0') != std::string_view::npos;
    Require(stricter || !nlohmann::json::accept(input),
            "ParseJson refuses what the library accepts");
    return;
  }
  Require(nlohmann::json::accept(input),
          "ParseJson accepts what the library refuses");
  const std::string text = Written(*tree);
  const auto again = ParseJson(text, kMaxDepth);
  Require(again.ok(), "a tree that is written out is read again");
  Require(Written(*again) == text, "a tree that is written out is read equal");
}

}  // namespace sluice
