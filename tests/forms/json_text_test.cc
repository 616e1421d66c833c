#include "forms/json_text.h"

#include <cstddef>
#include <string>
#include <string_view>

#include "gtest/gtest.h"
#include "nlohmann/json.hpp"

namespace sluice {
namespace {

std::string JsonString(std::string_view text) {
  std::string out;
  AppendJsonString(text, out);
  return out;
}

TEST(JsonTextTest, StringsAreWhatTheyWere) {
  std::string all;
  for (int c = 0; c < 128; ++c) all += static_cast<char>(c);
  all += "\xc3\xa4\xf0\x9f\x99\x82";
  EXPECT_EQ(nlohmann::json::parse(JsonString(all)), all);
}

// Any two characters, at any places in a word, are written as they are written
// alone.
TEST(JsonTextTest, AnyTwoCharactersWhereverTheyStand) {
  const auto unquoted = [](std::string_view text) {
    const std::string quoted = JsonString(text);
    return quoted.substr(1, quoted.size() - 2);
  };
  for (int pair = 0; pair < 128 * 128; ++pair) {
    const std::string first(1, static_cast<char>(pair / 128));
    const std::string second(1, static_cast<char>(pair % 128));
    const std::string both = unquoted(first) + unquoted(second);
    for (std::size_t before = 0; before < 9; ++before) {
      const std::string some(before, 'x');
      const std::string more(16, 'y');
      ASSERT_EQ(unquoted(some + first + second + more), some + both + more)
          << "pair " << pair << " after " << before;
    }
  }
}

TEST(JsonTextTest, WhatIsNoUtf8IsReplaced) {
  EXPECT_EQ(JsonString("a\xff\xc3z"), R"("a\ufffd\ufffdz")");
}

TEST(JsonTextTest, KnowsNumbers) {
  for (const char* number :
       {"0", "-0", "7", "-12", "1.10", "0.00", "1e5", "1E+5", "-2.50e-07",
        "123456789012345678901234567890.123456789"}) {
    EXPECT_TRUE(IsJsonNumber(number)) << number;
    EXPECT_TRUE(nlohmann::json::accept(number)) << number;
  }
  for (const char* other :
       {"",     "-",   "+1",       "01",  "-01",   ".5", "1.",
        "1.e5", "1e",  "1e+",      "e5",  " 1",    "1 ", "1,5",
        "0x1",  "NaN", "Infinity", "--1", "1.2.3", "1-", "\"1\""}) {
    EXPECT_FALSE(IsJsonNumber(other)) << other;
  }
  EXPECT_FALSE(IsJsonNumber(std::string_view("1\0", 2)));
}

TEST(JsonTextTest, WritesCommasWhereTheyBelong) {
  std::string out;
  JsonWriter json(out);
  json.BeginObject();
  json.Name("empty");
  json.BeginArray();
  json.EndArray();
  json.Member("a", "1");
  json.Name("list");
  json.BeginArray();
  json.Bare("1.10");
  json.BeginObject();
  json.EndObject();
  json.String("x");
  json.EndArray();
  json.BareMember("b", "true");
  json.EndObject();
  EXPECT_EQ(out, R"({"empty":[],"a":"1","list":[1.10,{},"x"],"b":true})");
}

}  // namespace
}  // namespace sluice
