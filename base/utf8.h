// Checks UTF-8 as the Unicode Standard defines it (table 3-7): no overlong
// forms, no surrogates, nothing above U+10FFFF.

#ifndef SLUICE_BASE_UTF8_H_
#define SLUICE_BASE_UTF8_H_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace sluice {
namespace utf8_internal {

template <typename Word>
Word Load(const char* at) {
  Word word;
  std::memcpy(&word, at, sizeof(word));
  return word;
}

bool IsValidInAnyScript(std::string_view text);

}  // namespace utf8_internal

// True if all bytes are ASCII. Reads eight bytes at a time, or 32 in long
// texts. The last load overlaps the load before it, so no loop over single
// bytes is needed.
inline bool IsAscii(std::string_view text) {
  using utf8_internal::Load;
  const char* at = text.data();
  const char* const end = at + text.size();
  std::uint64_t bits = 0;
  if (text.size() >= 8) {
    for (; end - at > 32; at += 32) {
      bits |= (Load<std::uint64_t>(at) | Load<std::uint64_t>(at + 8)) |
              (Load<std::uint64_t>(at + 16) | Load<std::uint64_t>(at + 24));
    }
    for (; end - at > 8; at += 8) bits |= Load<std::uint64_t>(at);
    bits |= Load<std::uint64_t>(end - 8);
  } else if (text.size() >= 4) {
    bits = Load<std::uint32_t>(at) | Load<std::uint32_t>(end - 4);
  } else {
    for (; at != end; ++at) bits |= static_cast<std::uint8_t>(*at);
  }
  return (bits & 0x8080808080808080) == 0;
}

// True if `text` is valid UTF-8.
inline bool IsValidUtf8(std::string_view text) {
  return IsAscii(text) || utf8_internal::IsValidInAnyScript(text);
}

// Returns the size in bytes of the first character of `text`, or 0 if `text`
// does not begin with valid UTF-8. `text` must not be empty.
std::size_t Utf8CharacterSize(std::string_view text);

}  // namespace sluice

#endif  // SLUICE_BASE_UTF8_H_
