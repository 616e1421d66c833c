#include "forms/json_text.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/utf8.h"

namespace sluice {
namespace {

bool NeedsEscape(char c) {
  return c == '"' || c == '\\' || static_cast<unsigned char>(c) < 0x20;
}

constexpr std::size_t kWord = sizeof(std::uint64_t);

constexpr std::uint64_t EachByte(std::uint8_t byte) {
  return ~std::uint64_t{0} / 0xFF * byte;
}

// True if none of the eight bytes is a control character, a quote, a backslash
// or beyond ASCII, as is usual in forms. A subtraction sets the high bit of
// bytes that are too small (Warren, Hacker's Delight, section 6-1). A borrow
// may set it in the next byte too, which is harmless: a plain byte then takes
// the slow path.
bool IsPlainWord(const char* bytes) {
  const auto word = utf8_internal::Load<std::uint64_t>(bytes);
  const std::uint64_t suspects = word | (word - EachByte(0x20)) |
                                 ((word ^ EachByte('"')) - EachByte(1)) |
                                 ((word ^ EachByte('\\')) - EachByte(1));
  return (suspects & EachByte(0x80)) == 0;
}

// Returns the number of bytes at the front of `text` that need no escape.
std::size_t PlainPrefix(std::string_view text) {
  std::size_t size = 0;
  while (size < text.size()) {
    const std::string_view rest = text.substr(size);
    if (rest.size() >= kWord && IsPlainWord(rest.data())) {
      size += kWord;
      continue;
    }
    const std::size_t character =
        NeedsEscape(rest.front()) ? 0 : Utf8CharacterSize(rest);
    if (character == 0) break;
    size += character;
  }
  return size;
}

// Removes the digits at the front of `text`. False if there are none.
bool ConsumeDigits(std::string_view& text) {
  const auto end = std::ranges::find_if_not(
      text, [](unsigned char c) { return absl::ascii_isdigit(c); });
  const auto digits = static_cast<std::size_t>(end - text.begin());
  text.remove_prefix(digits);
  return digits > 0;
}

bool ConsumeOneOf(std::string_view characters, std::string_view& text) {
  if (text.empty() || characters.find(text.front()) == characters.npos) {
    return false;
  }
  text.remove_prefix(1);
  return true;
}

}  // namespace

void AppendJsonString(std::string_view text, std::string& out) {
  out += '"';
  while (true) {
    const std::size_t plain = PlainPrefix(text);
    out += text.substr(0, plain);
    text.remove_prefix(plain);
    if (text.empty()) break;
    const char c = text.front();
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (NeedsEscape(c)) {
      absl::StrAppend(&out, "\\u", absl::Hex(c, absl::kZeroPad4));
    } else {
      out += "\\ufffd";
    }
    text.remove_prefix(1);
  }
  out += '"';
}

bool IsJsonNumber(std::string_view text) {
  ConsumeOneOf("-", text);
  if (!ConsumeOneOf("0", text) && !ConsumeDigits(text)) return false;
  if (ConsumeOneOf(".", text) && !ConsumeDigits(text)) return false;
  if (ConsumeOneOf("eE", text)) {
    ConsumeOneOf("+-", text);
    if (!ConsumeDigits(text)) return false;
  }
  return text.empty();
}

void JsonWriter::Name(std::string_view name) {
  SLUICE_DCHECK(open_ > 0);
  SLUICE_DCHECK(!named_);
  Separate();
  AppendJsonString(name, out_);
  out_ += ':';
  follows_ = false;
  named_ = true;
}

void JsonWriter::String(std::string_view value) {
  Separate();
  AppendJsonString(value, out_);
}

void JsonWriter::Bare(std::string_view value) {
  SLUICE_DCHECK(IsJsonNumber(value) || value == "true" || value == "false" ||
                value == "null");
  Separate();
  out_ += value;
}

void JsonWriter::Begin(char bracket) {
  Separate();
  out_ += bracket;
  ++open_;
  follows_ = false;
}

void JsonWriter::End(char bracket) {
  SLUICE_DCHECK(open_ > 0);
  SLUICE_DCHECK(!named_);
  --open_;
  out_ += bracket;
  follows_ = true;
}

void JsonWriter::Separate() {
  if (follows_) out_ += ',';
  follows_ = true;
  named_ = false;
}

}  // namespace sluice
