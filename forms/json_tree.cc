#include "forms/json_tree.h"

#include <cstddef>
#include <cstdint>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "nlohmann/json.hpp"

namespace sluice {
namespace {

using Library = nlohmann::json;

absl::Status NotJson(std::size_t position) {
  return absl::InvalidArgumentError(
      absl::StrCat("not JSON, from byte ", position, " on"));
}

// Receives the parser's events and builds the tree. Parsing ends at the first
// event handler that returns false.
class TreeBuilder : public nlohmann::json_sax<Library> {
 public:
  explicit TreeBuilder(int max_depth) : max_depth_(max_depth) {
    SLUICE_DCHECK_GT(max_depth, 0);
  }

  absl::StatusOr<Json> Take() && {
    if (!status_.ok()) return status_;
    return std::move(root_);
  }

  bool null() override { return Add(std::monostate()); }
  bool boolean(bool value) override { return Add(value); }
  bool number_integer(std::int64_t value) override {
    // The library passes numbers with a minus sign to this function, and all
    // others as unsigned. A zero here was therefore written as -0.
    return Add(JsonNumber{value == 0 ? "-0" : absl::StrCat(value), true});
  }
  bool number_unsigned(std::uint64_t value) override {
    return Add(JsonNumber{absl::StrCat(value), true});
  }
  bool number_float(double, const std::string& text) override {
    return Add(JsonNumber{text, false});
  }
  bool string(std::string& value) override { return Add(std::move(value)); }
  bool binary(Library::binary_t&) override { return false; }  // never called

  bool start_object(std::size_t) override { return Begin(Json::Object()); }
  bool end_object() override { return End(); }
  bool start_array(std::size_t) override { return Begin(Json::Array()); }
  bool end_array() override { return End(); }

  bool key(std::string& name) override {
    auto& object = std::get<Json::Object>(open_.back()->value);
    const auto [member, is_new] = object.try_emplace(std::move(name));
    names_.back() = member;
    if (is_new) return true;
    return Fail("duplicate name");
  }

  // Do not use the library's error text: it quotes the input.
  bool parse_error(std::size_t position, const std::string&,
                   const Library::exception& error) override {
    constexpr int kNumberOutOfRange = 406;
    status_ =
        error.id == kNumberOutOfRange
            ? absl::InvalidArgumentError(absl::StrCat(
                  "the number that ends at byte ", position, " is too large"))
            : NotJson(position);
    return false;
  }

 private:
  // Returns the place where the next value is stored. In an object, call only
  // after the key.
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
    // The pointer stays valid while the value is open, because only the
    // innermost open array grows.
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
  std::vector<Json*> open_;  // open arrays and objects, the outermost first
  // For each entry of `open_` that is an object: its current member.
  std::vector<Json::Object::iterator> names_;
};

}  // namespace

absl::StatusOr<Json> ParseJson(std::string_view text, int max_depth) {
  // A zero byte would end the text for the library.
  const std::size_t zero = text.find('\0');
  if (zero != text.npos) return NotJson(zero + 1);
  TreeBuilder builder(max_depth);
  Library::sax_parse(text, &builder);
  return std::move(builder).Take();
}

}  // namespace sluice
