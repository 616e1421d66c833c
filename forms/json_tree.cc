#include "forms/json_tree.h"

#include <cstddef>
#include <cstdint>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "nlohmann/json.hpp"

namespace sluice {
namespace {

using Library = nlohmann::json;

absl::Status NotJson(std::size_t position) {
  return absl::InvalidArgumentError(
      absl::StrCat("not JSON, from byte ", position, " on"));
}

// Receives the parser's events and builds the tree. An event that returns false
// ends the parsing.
class TreeBuilder : public nlohmann::json_sax<Library> {
 public:
  explicit TreeBuilder(int max_depth) : max_depth_(max_depth) {}

  absl::StatusOr<Json> Take() && {
    if (!status_.ok()) return status_;
    return std::move(root_);
  }

  bool null() override { return Add(std::monostate()); }
  bool boolean(bool value) override { return Add(value); }
  bool number_integer(std::int64_t value) override {
    // The library reports numbers with a minus sign here, all others as
    // unsigned: a zero was written as -0.
    return Add(JsonNumber{value == 0 ? "-0" : absl::StrCat(value), true});
  }
  bool number_unsigned(std::uint64_t value) override {
    return Add(JsonNumber{absl::StrCat(value), true});
  }
  bool number_float(double, const std::string& text) override {
    return Add(JsonNumber{text, false});
  }
  bool string(std::string& value) override { return Add(std::move(value)); }
  bool binary(Library::binary_t&) override { return false; }  // not in JSON

  bool start_object(std::size_t) override { return Begin(Json::Object()); }
  bool end_object() override { return End(); }
  bool start_array(std::size_t) override { return Begin(Json::Array()); }
  bool end_array() override { return End(); }

  bool key(std::string& name) override {
    auto& object = std::get<Json::Object>(open_.back()->value);
    const auto [member, is_new] = object.try_emplace(std::move(name));
    names_.back() = member;
    if (is_new) return true;
    return Fail("is there twice");
  }

  // The library's own text quotes the input.
  bool parse_error(std::size_t position, const std::string&,
                   const Library::exception&) override {
    status_ = NotJson(position);
    return false;
  }

 private:
  // The place where the next value belongs.
  Json& Next() {
    if (open_.empty()) return root_;
    auto* array = std::get_if<Json::Array>(&open_.back()->value);
    return array == nullptr ? names_.back()->second : array->emplace_back();
  }

  template <typename Value>
  bool Add(Value value) {
    Next().value = std::move(value);
    return true;
  }

  template <typename Value>
  bool Begin(Value value) {
    Json& place = Next();
    if (open_.size() == static_cast<std::size_t>(max_depth_)) {
      return Fail(absl::StrCat("nested deeper than ", max_depth_, " levels"));
    }
    place.value = std::move(value);
    // Stays where it is while it is open: only the innermost array grows.
    open_.push_back(&place);
    names_.emplace_back();
    return true;
  }

  bool End() {
    open_.pop_back();
    names_.pop_back();
    return true;
  }

  bool Fail(const std::string& what) {
    status_ = absl::InvalidArgumentError(absl::StrCat(Path(), ": ", what));
    return false;
  }

  std::string Path() const {
    std::string path;
    for (std::size_t i = 0; i < open_.size(); ++i) {
      const auto* array = std::get_if<Json::Array>(&open_[i]->value);
      if (array != nullptr) {
        absl::StrAppend(&path, "[", array->size() - 1, "]");
      } else {
        absl::StrAppend(&path, path.empty() ? "" : ".", names_[i]->first);
      }
    }
    return path;
  }

  const int max_depth_;
  absl::Status status_;
  Json root_;
  std::vector<Json*> open_;  // arrays and objects, the outermost first
  std::vector<Json::Object::iterator> names_;  // in each open object: where
};

}  // namespace

absl::StatusOr<Json> ParseJson(std::string_view text, int max_depth) {
  // The library would take a zero byte for the end of the text.
  const std::size_t zero = text.find('\0');
  if (zero != text.npos) return NotJson(zero + 1);
  TreeBuilder builder(max_depth);
  Library::sax_parse(text, &builder);
  return std::move(builder).Take();
}

}  // namespace sluice
