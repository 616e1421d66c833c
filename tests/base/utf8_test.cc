#include "base/utf8.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "gtest/gtest.h"

namespace sluice {
namespace {

// Implements the definition without regard to speed: decodes the text, and
// checks that it is a scalar value in its shortest encoding.
bool IsOneCharacter(std::string_view text) {
  const auto byte = [&](std::size_t i) {
    return static_cast<std::uint8_t>(text[i]);
  };
  if (text.size() == 1) return byte(0) < 0x80;
  const std::size_t size = text.size();
  const int lead_bits = size == 2 ? 5 : size == 3 ? 4 : 3;
  const auto lead_mark = static_cast<std::uint8_t>(0xFF << (lead_bits + 1));
  const auto lead_mask = static_cast<std::uint8_t>(0xFF << lead_bits);
  if ((byte(0) & lead_mask) != lead_mark) return false;
  std::uint32_t value = byte(0) & static_cast<std::uint8_t>(~lead_mask);
  for (std::size_t i = 1; i < size; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return false;
    value = value << 6 | (byte(i) & 0x3F);
  }
  const std::uint32_t smallest = size == 2 ? 0x80 : size == 3 ? 0x800 : 0x10000;
  const bool is_surrogate = value >= 0xD800 && value <= 0xDFFF;
  return value >= smallest && value <= 0x10FFFF && !is_surrogate;
}

std::string Bytes(std::initializer_list<int> values) {
  std::string bytes;
  for (const int value : values) bytes += static_cast<char>(value);
  return bytes;
}

TEST(Utf8Test, AgreesWithTheDefinitionOnAllSequencesOfTwoBytes) {
  for (int a = 0x80; a < 0x100; ++a) {
    EXPECT_FALSE(IsValidUtf8(Bytes({a}))) << a;
    for (int b = 0; b < 0x100; ++b) {
      const std::string text = Bytes({a, b});
      ASSERT_EQ(IsValidUtf8(text), IsOneCharacter(text)) << a << " " << b;
    }
  }
}

TEST(Utf8Test, AgreesWithTheDefinitionOnAllSequencesOfThreeBytes) {
  for (int a = 0xE0; a < 0x100; ++a) {
    for (int b = 0; b < 0x100; ++b) {
      for (int c = 0; c < 0x100; ++c) {
        const std::string text = Bytes({a, b, c});
        ASSERT_EQ(IsValidUtf8(text), IsOneCharacter(text))
            << a << " " << b << " " << c;
      }
    }
  }
}

TEST(Utf8Test, AgreesWithTheDefinitionOnSequencesOfFourBytes) {
  for (int a = 0xF0; a < 0x100; ++a) {
    for (int b = 0; b < 0x100; ++b) {
      for (const int c : {0x00, 0x7F, 0x80, 0xBF, 0xC0, 0xFF}) {
        for (const int d : {0x00, 0x7F, 0x80, 0xBF, 0xC0, 0xFF}) {
          const std::string text = Bytes({a, b, c, d});
          ASSERT_EQ(IsValidUtf8(text), IsOneCharacter(text))
              << a << " " << b << " " << c << " " << d;
        }
      }
    }
  }
}

TEST(Utf8Test, FindsABadByteAtEveryPlace) {
  for (std::size_t size = 1; size < 40; ++size) {
    for (std::size_t at = 0; at < size; ++at) {
      std::string text(size, 'a');
      EXPECT_TRUE(IsAscii(text));
      text[at] = '\xFF';
      EXPECT_FALSE(IsAscii(text)) << size << " " << at;
      EXPECT_FALSE(IsValidUtf8(text)) << size << " " << at;
      EXPECT_FALSE(IsValidUtf8("\u00e4" + text)) << size << " " << at;
    }
  }
}

TEST(Utf8Test, FindsACharacterCutOffByTheEnd) {
  const std::string text = "Sch\u00f6ner Tag \U0001F642";
  EXPECT_TRUE(IsValidUtf8(text));
  EXPECT_FALSE(IsValidUtf8(std::string_view(text).substr(0, text.size() - 1)));
  EXPECT_FALSE(IsValidUtf8(std::string_view(text).substr(0, 4)));
}

TEST(Utf8Test, TakesEmptyTextAndZeroBytes) {
  EXPECT_TRUE(IsValidUtf8(""));
  EXPECT_TRUE(IsValidUtf8(std::string(9, '\0')));
}

TEST(Utf8Test, TellsTheSizeOfTheFirstCharacter) {
  EXPECT_EQ(Utf8CharacterSize("ab"), 1u);
  EXPECT_EQ(Utf8CharacterSize("\u00e4b"), 2u);
  EXPECT_EQ(Utf8CharacterSize("\u20acb"), 3u);
  EXPECT_EQ(Utf8CharacterSize("\U0001F642b"), 4u);
  EXPECT_EQ(Utf8CharacterSize("\xE2\x82"), 0u);
  EXPECT_EQ(Utf8CharacterSize("\x80"), 0u);
}

}  // namespace
}  // namespace sluice
