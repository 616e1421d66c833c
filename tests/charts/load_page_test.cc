#include "tools/load/load_page.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/charts/sample_load.h"

namespace sluice {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

TEST(LoadPage, HasTheReportAndItsValuesByTheClockOfTheProfile) {
  const auto [options, result] = SampleLoad();
  EXPECT_THAT(
      LoadPage(options, result),
      AllOf(
          HasSubstr("<h1>a&lt;/script&gt;&lt;b&gt;&#39;&amp;.yaml: 3 h played "
                    "in 3 s</h1>"),
          // The timeline has 33 calls: 30 in time, 3 refused.
          HasSubstr("<dd>90.9 %</dd><dt>answered OK in time</dt>"),
          HasSubstr("\"profile\": {"), HasSubstr("<td>07:00</td><td>12</td>"),
          HasSubstr("<td>09:00</td>"), HasSubstr("<td>22 ms</td>"),
          Not(HasSubstr("a</script>"))));
}

TEST(LoadPage, HasThePoolOnlyIfMetricsWereScraped) {
  auto [options, result] = SampleLoad();
  EXPECT_THAT(LoadPage(options, result), Not(HasSubstr("<th>Workers</th>")));
  AddSamplePool(&result);
  EXPECT_THAT(LoadPage(options, result),
              AllOf(HasSubstr("<th>Workers</th>"),
                    HasSubstr("<td>5</td><td>2</td><td>7</td><td>1</td>"),
                    HasSubstr("\"depth\": 7.0")));
}

}  // namespace
}  // namespace sluice
