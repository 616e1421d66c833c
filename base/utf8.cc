#include "base/utf8.h"

#include "base/check.h"

namespace sluice {
namespace {

bool IsBetween(unsigned char byte, unsigned char low, unsigned char high) {
  return byte >= low && byte <= high;
}

// True if `second` is allowed after `lead`. The second byte alone excludes
// overlong forms, surrogates and values above U+10FFFF.
bool MayFollow(unsigned char lead, unsigned char second) {
  switch (lead) {
    case 0xE0:
      return IsBetween(second, 0xA0, 0xBF);
    case 0xED:
      return IsBetween(second, 0x80, 0x9F);
    case 0xF0:
      return IsBetween(second, 0x90, 0xBF);
    case 0xF4:
      return IsBetween(second, 0x80, 0x8F);
    default:
      return IsBetween(second, 0x80, 0xBF);
  }
}

}  // namespace

std::size_t Utf8CharacterSize(std::string_view text) {
  SLUICE_DCHECK(!text.empty());
  const auto byte = [&](std::size_t i) {
    return static_cast<unsigned char>(text[i]);
  };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return 1;
  if (!IsBetween(lead, 0xC2, 0xF4)) return 0;
  const std::size_t size = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  if (text.size() < size || !MayFollow(lead, byte(1))) return 0;
  for (std::size_t i = 2; i < size; ++i) {
    if (!IsBetween(byte(i), 0x80, 0xBF)) return 0;
  }
  return size;
}

bool utf8_internal::IsValidInAnyScript(std::string_view text) {
  while (!text.empty()) {
    const bool ascii_ahead = text.size() >= 8 && IsAscii(text.substr(0, 8));
    const std::size_t size = ascii_ahead ? 8 : Utf8CharacterSize(text);
    if (size == 0) return false;
    text.remove_prefix(size);
  }
  return true;
}

}  // namespace sluice
