#include "stores/kinds/server_number.h"

#include <map>
#include <optional>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace sluice {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Optional;

constexpr std::int64_t kMax = 1023;

ServerNumber Read(const std::string& text, const std::string& host_name = "",
                  std::map<std::string, std::string> variables = {}) {
  return ReadServerNumber(
      text, kMax,
      {.variable = [&](const std::string& name) -> std::optional<std::string> {
         const auto found = variables.find(name);
         if (found == variables.end()) return std::nullopt;
         return found->second;
       },
       .host_name = [&] { return host_name; }});
}

TEST(ServerNumber, IsANumber) {
  EXPECT_THAT(Read("0").number, Optional(0));
  EXPECT_THAT(Read("1023").number, Optional(1023));
  EXPECT_THAT(Read("1023").error, IsEmpty());
  for (const char* bad : {"", "-1", "1024", "+1", " 1", "1.0", "env:", "env",
                          "Hostname", "99999999999999999999"}) {
    const ServerNumber read = Read(bad, "sluice-2");
    EXPECT_EQ(read.number, std::nullopt) << bad;
    EXPECT_THAT(read.error, AllOf(HasSubstr("0 to 1023"), HasSubstr("env:NAME"),
                                  HasSubstr("hostname")));
  }
}

TEST(ServerNumber, IsInAVariable) {
  EXPECT_THAT(Read("env:N", "", {{"N", "7"}}).number, Optional(7));
  EXPECT_THAT(Read("env:N").error,
              HasSubstr("the environment variable N is not set"));
  for (const char* bad : {"", "x", "1024", "-1", "7 "}) {
    const ServerNumber read = Read("env:N", "", {{"N", bad}});
    EXPECT_EQ(read.number, std::nullopt) << bad;
    EXPECT_THAT(read.error, AllOf(HasSubstr("variable N must be a number"),
                                  HasSubstr("0 to 1023")));
  }
}

TEST(ServerNumber, IsAtTheEndOfTheHostName) {
  for (const char* name : {"sluice-2", "sluice-2.sluice.default.svc", "a-b-2",
                           "sluice-02", "-2"}) {
    EXPECT_THAT(Read("hostname", name).number, Optional(2)) << name;
  }
  for (const char* bad : {"", "sluice", "sluice2", "sluice-", "sluice-1024",
                          "sluice-x", "sluice.a-2", "sluice-2a"}) {
    const ServerNumber read = Read("hostname", bad);
    EXPECT_EQ(read.number, std::nullopt) << bad;
    EXPECT_THAT(read.error, AllOf(HasSubstr("the host name"),
                                  HasSubstr("such as sluice-2")));
  }
}

TEST(ServerNumber, OfThisProcess) {
  const ServerNumberSources sources = SystemServerNumberSources();
  EXPECT_NE(sources.host_name(), "");
  setenv("SLUICE_TEST_NUMBER", "5", 1);
  EXPECT_THAT(ReadServerNumber("env:SLUICE_TEST_NUMBER", kMax, sources).number,
              Optional(5));
  unsetenv("SLUICE_TEST_NUMBER");
}

}  // namespace
}  // namespace sluice
