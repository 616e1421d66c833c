#include "loadgen/internal/arrival_schedule.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "gtest/gtest.h"

namespace sluice {
namespace {

using std::chrono::milliseconds;

constexpr TimePoint kStart{std::chrono::hours(1)};

std::vector<TimePoint> Take(RateSchedule schedule, int count) {
  std::vector<TimePoint> times;
  for (int i = 0; i < count; ++i) {
    times.push_back(schedule.next());
    schedule.Advance();
  }
  return times;
}

TEST(RateSchedule, ConstantArrivalsAreEquallyFarApart) {
  const auto times =
      Take(RateSchedule(1000, Arrivals::kConstant, 1, kStart), 100);
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(times[static_cast<std::size_t>(i)], kStart + milliseconds(i));
  }
}

TEST(RateSchedule, DoesNotDrift) {
  // The interval is a third of a microsecond, which is not a whole number of
  // nanoseconds.
  const auto times =
      Take(RateSchedule(3e6, Arrivals::kConstant, 1, kStart), 3'000'001);
  EXPECT_NEAR(static_cast<double>((times.back() - kStart).count()), 1e9, 1);
}

TEST(RateSchedule, PoissonArrivalsHaveExponentialGaps) {
  constexpr int kCount = 100'000;
  const auto times =
      Take(RateSchedule(1000, Arrivals::kPoisson, 7, kStart), kCount);
  EXPECT_TRUE(std::ranges::is_sorted(times));
  double sum = 0;
  double squares = 0;
  for (std::size_t i = 1; i < times.size(); ++i) {
    const double gap =
        std::chrono::duration<double, std::milli>(times[i] - times[i - 1])
            .count();
    sum += gap;
    squares += gap * gap;
  }
  const double mean = sum / (kCount - 1);
  const double deviation = std::sqrt(squares / (kCount - 1) - mean * mean);
  // An exponential distribution's deviation equals its mean.
  EXPECT_NEAR(mean, 1, 0.02);
  EXPECT_NEAR(deviation, 1, 0.03);
}

TEST(RateSchedule, FollowsFromItsSeed) {
  const auto take = [](std::uint64_t seed) {
    return Take(RateSchedule(10, Arrivals::kPoisson, seed, kStart), 20);
  };
  EXPECT_EQ(take(1), take(1));
  EXPECT_NE(take(1), take(2));
}

}  // namespace
}  // namespace sluice
