#include "base/log_pace.h"

#include <chrono>

#include "gtest/gtest.h"

namespace sluice {
namespace {

TEST(LogPaceTest, ReportsTheFirstEventAndThenAtMostOncePerInterval) {
  LogPace pace;
  const TimePoint begun{};
  EXPECT_EQ(pace.Count(begun), 1u);
  for (int i = 1; i <= 100; ++i) {
    EXPECT_EQ(pace.Count(begun + i * LogPace::kInterval / 101), 0u);
  }
  EXPECT_EQ(pace.Count(begun + LogPace::kInterval), 101u);
  EXPECT_EQ(pace.Count(begun + LogPace::kInterval), 0u);
}

TEST(LogPaceTest, ReportsEachOfSeldomEvents) {
  LogPace pace;
  TimePoint now{};
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(pace.Count(now), 1u);
    now += LogPace::kInterval;
  }
}

}  // namespace
}  // namespace sluice
