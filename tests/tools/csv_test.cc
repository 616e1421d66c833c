#include "tools/ctl/csv.h"

#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace sluice {
namespace {

std::string Row(const std::vector<absl::string_view>& fields) {
  std::string out;
  AppendCsvRow(fields, out);
  return out;
}

TEST(CsvTest, ARowEndsWithCrLf) {
  EXPECT_EQ(Row({"a", "", "c d"}), "a,,c d\r\n");
  EXPECT_EQ(Row({""}), "\r\n");
}

TEST(CsvTest, QuotesWhatNeedsIt) {
  EXPECT_EQ(Row({"1,5", "say \"so\"", "two\nlines", "cr\r", "\""}),
            "\"1,5\",\"say \"\"so\"\"\",\"two\nlines\",\"cr\r\",\"\"\"\"\r\n");
}

TEST(CsvTest, ValuesAreAsSent) {
  EXPECT_EQ(Row({"=1+1", "-2", "@x", " padded "}), "=1+1,-2,@x, padded \r\n");
}

}  // namespace
}  // namespace sluice
