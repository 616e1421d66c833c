#include "loadgen/latency_histogram.h"

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

#include "gtest/gtest.h"

namespace sluice {
namespace {

using Nanos = LatencyHistogram::Nanos;

TEST(LatencyHistogram, IsZeroWhileEmpty) {
  const LatencyHistogram histogram;
  EXPECT_EQ(histogram.count(), 0);
  EXPECT_EQ(histogram.min(), Nanos(0));
  EXPECT_EQ(histogram.max(), Nanos(0));
  EXPECT_EQ(histogram.Percentile(99), Nanos(0));
}

TEST(LatencyHistogram, GivesASingleValueExactly) {
  LatencyHistogram histogram;
  histogram.Add(Nanos(123'456'789));
  for (const double percent : {0.0, 50.0, 100.0}) {
    EXPECT_EQ(histogram.Percentile(percent), Nanos(123'456'789));
  }
}

TEST(LatencyHistogram, GivesSmallValuesExactly) {
  LatencyHistogram histogram;
  for (int i = 1; i <= 100; ++i) histogram.Add(Nanos(i));
  for (int i = 1; i <= 100; ++i) EXPECT_EQ(histogram.Percentile(i), Nanos(i));
  EXPECT_EQ(histogram.Percentile(0), Nanos(1));
  EXPECT_EQ(histogram.Percentile(99.5), Nanos(100));
}

TEST(LatencyHistogram, IsWithinOnePercentOfSortedValues) {
  std::mt19937_64 random(1);
  // Latencies from microseconds to seconds.
  std::lognormal_distribution<double> latency(std::log(1e6), 2);
  LatencyHistogram histogram;
  std::vector<std::int64_t> values;
  for (int i = 0; i < 100'000; ++i) {
    values.push_back(static_cast<std::int64_t>(latency(random)));
    histogram.Add(Nanos(values.back()));
  }
  std::ranges::sort(values);
  for (const double percent : {1.0, 10.0, 50.0, 90.0, 99.0, 99.9, 99.99}) {
    const auto rank = static_cast<std::size_t>(
        std::ceil(percent / 100 * static_cast<double>(values.size())));
    const auto exact = static_cast<double>(values[rank - 1]);
    const auto shown =
        static_cast<double>(histogram.Percentile(percent).count());
    EXPECT_GE(shown, exact) << percent;
    EXPECT_LE(shown, exact * 1.01) << percent;
  }
  EXPECT_EQ(histogram.min(), Nanos(values.front()));
  EXPECT_EQ(histogram.max(), Nanos(values.back()));
  EXPECT_EQ(histogram.Percentile(100), histogram.max());
}

TEST(LatencyHistogram, TakesWhatAnotherHas) {
  LatencyHistogram some;
  LatencyHistogram others;
  some.Add(LatencyHistogram());
  EXPECT_EQ(some.min(), Nanos(0));
  others.Add(Nanos(20));
  others.Add(Nanos(30));
  some.Add(others);
  EXPECT_EQ(some.min(), Nanos(20));
  others = LatencyHistogram();
  others.Add(Nanos(10));
  some.Add(others);
  EXPECT_EQ(some.count(), 3);
  EXPECT_EQ(some.min(), Nanos(10));
  EXPECT_EQ(some.Percentile(50), Nanos(20));
  EXPECT_EQ(some.max(), Nanos(30));
}

TEST(LatencyHistogram, TakesWhatIsOutOfRange) {
  LatencyHistogram histogram;
  histogram.Add(Nanos(-5));
  EXPECT_EQ(histogram.max(), Nanos(0));
  histogram.Add(Nanos::max());
  EXPECT_EQ(histogram.count(), 2);
  EXPECT_EQ(histogram.max(), Nanos::max());
  EXPECT_EQ(histogram.Percentile(50), Nanos(0));
  EXPECT_GE(histogram.Percentile(100), std::chrono::hours(1));
}

}  // namespace
}  // namespace sluice
