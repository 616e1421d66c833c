#include "forms/json_tree.h"

#include <string>
#include <string_view>
#include <variant>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace sluice {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr int kMaxDepth = 20;

std::string NumberText(std::string_view text) {
  const auto json = ParseJson(text, kMaxDepth);
  EXPECT_TRUE(json.ok()) << json.status();
  return json.ok() ? std::get<JsonNumber>(json->value).text : "";
}

bool IsInteger(std::string_view text) {
  return std::get<JsonNumber>(ParseJson(text, kMaxDepth)->value).is_integer;
}

std::string Error(std::string_view text) {
  return std::string(ParseJson(text, kMaxDepth).status().message());
}

TEST(JsonTreeTest, KeepsNumbersAsWritten) {
  for (const char* text :
       {"0", "-0", "7", "-7", "1.10", "1.0", "-0.00", "1e-3", "1E+3", "1e3",
        "0.1000000000000000055511151231257827", "12345678901234567890",
        "18446744073709551615", "123456789012345678901234567890",
        "-9223372036854775809"}) {
    EXPECT_EQ(NumberText(text), text);
  }
}

TEST(JsonTreeTest, TellsIntegersFromOtherNumbers) {
  EXPECT_TRUE(IsInteger("0"));
  EXPECT_TRUE(IsInteger("-0"));
  EXPECT_TRUE(IsInteger("-9223372036854775808"));
  EXPECT_FALSE(IsInteger("1.0"));
  EXPECT_FALSE(IsInteger("1e2"));
  EXPECT_FALSE(IsInteger("123456789012345678901234567890"));
}

TEST(JsonTreeTest, BuildsObjectsAndArrays) {
  const auto json = ParseJson(
      R"({"a": [1, {"b": null}, []], "c": {"d": "\u00e4\n"}, "": true})",
      kMaxDepth);
  ASSERT_TRUE(json.ok()) << json.status();
  const auto& root = std::get<Json::Object>(json->value);
  ASSERT_EQ(root.size(), 3u);
  const auto& a = std::get<Json::Array>(root.at("a").value);
  ASSERT_EQ(a.size(), 3u);
  EXPECT_EQ(std::get<JsonNumber>(a[0].value).text, "1");
  EXPECT_TRUE(std::holds_alternative<std::monostate>(
      std::get<Json::Object>(a[1].value).at("b").value));
  EXPECT_TRUE(std::get<Json::Array>(a[2].value).empty());
  EXPECT_EQ(std::get<std::string>(
                std::get<Json::Object>(root.at("c").value).at("d").value),
            "\u00e4\n");
  EXPECT_TRUE(std::get<bool>(root.at("").value));
}

TEST(JsonTreeTest, RefusesANameThatIsThereTwice) {
  EXPECT_EQ(Error(R"({"a": [0, {"b": 1, "c": 2, "b": 3}]})"),
            "a[1].b: duplicate name");
  EXPECT_TRUE(ParseJson(R"([{"b": 1}, {"b": 1}])", kMaxDepth).ok());
}

TEST(JsonTreeTest, BoundsTheDepth) {
  const auto nested = [](int depth) {
    const auto size = static_cast<std::size_t>(depth);
    return std::string(size, '[') + std::string(size, ']');
  };
  EXPECT_TRUE(ParseJson(nested(3), 3).ok());
  EXPECT_EQ(ParseJson(nested(4), 3).status().message(),
            "[0][0][0]: nested deeper than 3 levels");
  EXPECT_FALSE(ParseJson(std::string(1000000, '['), 200).ok());
  std::string objects;
  for (int i = 0; i < 100000; ++i) objects += R"({"a":)";
  EXPECT_THAT(std::string(ParseJson(objects, 200).status().message()),
              HasSubstr("nested deeper than 200 levels"));
}

TEST(JsonTreeTest, NamesTheByteWhereJsonEnds) {
  EXPECT_EQ(Error("{\"a\": }"), "not JSON, from byte 7 on");
}

TEST(JsonTreeTest, RefusesWhatIsNotJson) {
  for (const std::string text : {"",
                                 " ",
                                 "{",
                                 "[1,]",
                                 "{\"a\"}",
                                 "{'a': 1}",
                                 "01",
                                 "+1",
                                 ".5",
                                 "1.",
                                 "NaN",
                                 "nul",
                                 "1 2",
                                 "{} {}",
                                 "// comment\n{}",
                                 "\"a",
                                 "\"\n\"",
                                 "\"\xFF\"",
                                 "\"\xED\xA0\x80\"",
                                 "\"\\ud800\"",
                                 "\"\\x\""}) {
    EXPECT_THAT(Error(text), HasSubstr("not JSON")) << text;
  }
  EXPECT_THAT(Error(std::string("{}\0", 3)), HasSubstr("not JSON"));
}

TEST(JsonTreeTest, RefusesNumbersThatAreTooLargeForADouble) {
  EXPECT_EQ(Error("[1e999]"), "the number that ends at byte 6 is too large");
  EXPECT_TRUE(ParseJson("[1e-999, 1e308]", kMaxDepth).ok());
}

TEST(JsonTreeTest, QuotesNoInputInErrors) {
  EXPECT_THAT(Error(R"({"a": "canary" "b"})"), Not(HasSubstr("canary")));
  EXPECT_THAT(Error(R"({"a": canary})"), Not(HasSubstr("canary")));
  EXPECT_THAT(Error("[4711e999]"), Not(HasSubstr("4711")));
}

}  // namespace
}  // namespace sluice
