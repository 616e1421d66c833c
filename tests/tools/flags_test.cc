#include "tools/flags.h"

#include "absl/flags/flag.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

ABSL_FLAG(int, test_count, 7, "a number for tests");
ABSL_FLAG(bool, test_switch, false, "a switch for tests");

namespace sluice {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

absl::StatusOr<CommandLine> Parse(std::vector<const char*> arguments) {
  arguments.insert(arguments.begin(), "program");
  return ParseCommandLine(static_cast<int>(arguments.size()), arguments.data());
}

TEST(ParseCommandLine, SetsFlagsInAllTheirForms) {
  ASSERT_TRUE(Parse({"--test_count=3", "--test_switch"}).ok());
  EXPECT_EQ(absl::GetFlag(FLAGS_test_count), 3);
  EXPECT_TRUE(absl::GetFlag(FLAGS_test_switch));
  ASSERT_TRUE(Parse({"--test_count", "-4", "--notest_switch"}).ok());
  EXPECT_EQ(absl::GetFlag(FLAGS_test_count), -4);
  EXPECT_FALSE(absl::GetFlag(FLAGS_test_switch));
}

TEST(ParseCommandLine, LeavesTheRest) {
  const auto line = Parse({"a", "--test_count=1", "-", "--", "--b", "-h"});
  ASSERT_TRUE(line.ok());
  EXPECT_THAT(line->positional, ElementsAre("a", "-", "--b", "-h"));
  EXPECT_FALSE(line->help);
}

TEST(ParseCommandLine, SeesTheWishForHelp) {
  EXPECT_TRUE(Parse({"--help"})->help);
  EXPECT_TRUE(Parse({"-h"})->help);
}

TEST(ParseCommandLine, NamesTheFlagThatIsWrong) {
  for (const auto& [argument, text] :
       std::vector<std::pair<const char*, const char*>>{
           {"--test_count=x", "--test_count"},
           {"--test_count=", "--test_count"},
           {"--test_count", "--test_count needs a value"},
           {"--test_switch=perhaps", "--test_switch"},
           {"--no_such_flag", "unknown flag --no_such_flag"},
           {"--no_such_flag=1", "unknown flag --no_such_flag"},
           {"--notest_count", "unknown flag --notest_count"},
           {"-x", "unknown flag -x"},
           {"-test_count=1", "unknown flag -test_count"},
           {"--=1", "unknown flag --"}}) {
    const auto line = Parse({argument});
    EXPECT_TRUE(absl::IsInvalidArgument(line.status())) << argument;
    EXPECT_THAT(std::string(line.status().message()), HasSubstr(text));
  }
}

TEST(DescribeFlags, ListsTheFlagsOfOneFileWithTheirDefaults) {
  const std::string text = DescribeFlags("tests/tools/flags_test.cc");
  EXPECT_THAT(text, HasSubstr("--test_count"));
  EXPECT_THAT(text, HasSubstr("a number for tests (default: 7)"));
  EXPECT_EQ(DescribeFlags("no/such/file.cc"), "");
}

}  // namespace
}  // namespace sluice
