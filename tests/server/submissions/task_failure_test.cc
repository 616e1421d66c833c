#include "server/submissions/task_failure.h"

#include <algorithm>
#include <cstddef>
#include <set>
#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/fakes/log_capture.h"

namespace sluice {
namespace {

using testing::HasSubstr;
using testing::Not;

std::size_t CountLines(const std::string& text) {
  return static_cast<std::size_t>(std::ranges::count(text, '\n'));
}

TEST(FailureLogTest, AFloodHasALineASecondAndEachFailureFindsOne) {
  const LogCapture log;
  FailureLog failures;
  TimePoint now{};
  std::set<std::string> ids;
  for (int i = 0; i < 100; ++i) ids.insert(failures.Log("exception=A", now));
  ASSERT_EQ(ids.size(), 1u);
  EXPECT_EQ(CountLines(log.text()), 1u);
  EXPECT_THAT(log.text(), HasSubstr(absl::StrCat("error_id=", *ids.begin(),
                                                 " times=1 exception=A")));
  now += LogPace::kInterval;
  const std::string next = failures.Log("exception=A", now);
  EXPECT_FALSE(ids.contains(next));
  EXPECT_THAT(log.text(), HasSubstr(absl::StrCat("error_id=", next,
                                                 " times=100 exception=A")));
}

TEST(FailureLogTest, AnotherKindIsNotLeftOut) {
  const LogCapture log;
  FailureLog failures;
  const std::string first = failures.Log("exception=A", {});
  const std::string second = failures.Log("exception=B", {});
  EXPECT_NE(first, second);
  EXPECT_EQ(failures.Log("exception=A", {}), first);
  EXPECT_THAT(log.text(), HasSubstr("exception=B"));
}

TEST(FailureLogTest, RemembersALimitedNumberOfKinds) {
  const LogCapture log;
  FailureLog failures;
  for (std::size_t i = 0; i < 2 * FailureLog::kKindsMax; ++i) {
    EXPECT_NE(failures.Log(absl::StrCat("kind-", i), {}), "");
  }
  EXPECT_EQ(CountLines(log.text()), FailureLog::kKindsMax + 1);
  EXPECT_THAT(log.text(), Not(HasSubstr("kind-127")));
}

}  // namespace
}  // namespace sluice
