#include "base/log.h"

#include "gtest/gtest.h"

namespace sluice {
namespace {

TEST(JsonEscaped, KeepsTextAndEscapesWhatJsonForbids) {
  EXPECT_EQ(JsonEscaped("plain: key=value"), "plain: key=value");
  EXPECT_EQ(JsonEscaped("a\"b\\c"), R"(a\"b\\c)");
  EXPECT_EQ(JsonEscaped("a\nb\x1b"), R"(a\u000ab\u001b)");
  EXPECT_EQ(JsonEscaped("\xC3\xBC"), "\xC3\xBC");
  EXPECT_EQ(JsonEscaped("\xFF!"), R"(\ufffd!)");
}

}  // namespace
}  // namespace sluice
