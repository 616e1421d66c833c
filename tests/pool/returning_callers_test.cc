#include "pool/returning_callers.h"

#include <chrono>

#include "gtest/gtest.h"

namespace sluice {
namespace {

constexpr double kPerSecond = 10;

TEST(ReturningCallers, StandInALineThatMovesAtTheRateOfThePool) {
  TimePoint now{std::chrono::hours(1)};
  ReturningCallers callers;
  for (int i = 0; i < 30; ++i) callers.Add(kPerSecond, now);
  EXPECT_DOUBLE_EQ(callers.count(), 30);
  now += std::chrono::seconds(2);
  callers.Add(kPerSecond, now);
  EXPECT_DOUBLE_EQ(callers.count(), 11);
  now += std::chrono::seconds(10);
  callers.Add(kPerSecond, now);
  EXPECT_DOUBLE_EQ(callers.count(), 1);
}

TEST(ReturningCallers, AreNoMoreThanAreWorkedInTheLongestDelay) {
  const TimePoint now{std::chrono::hours(1)};
  ReturningCallers callers;
  for (int i = 0; i < 100000; ++i) callers.Add(kPerSecond, now);
  EXPECT_DOUBLE_EQ(callers.count(), 320);
}

TEST(ReturningCallers, ATimeThatWasReadEarlierDoesNotMoveTheLine) {
  const TimePoint now{std::chrono::hours(1)};
  ReturningCallers callers;
  callers.Add(kPerSecond, now);
  callers.Add(kPerSecond, now - std::chrono::seconds(1));
  callers.Add(kPerSecond, now);
  EXPECT_DOUBLE_EQ(callers.count(), 3);
}

TEST(ReturningCallers, AreNoneWhereNothingIsKnownOfTheRate) {
  ReturningCallers callers;
  callers.Add(0, TimePoint{std::chrono::hours(1)});
  EXPECT_DOUBLE_EQ(callers.count(), 0);
}

}  // namespace
}  // namespace sluice
