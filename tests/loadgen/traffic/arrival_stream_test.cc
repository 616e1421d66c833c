#include "loadgen/traffic/arrival_stream.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "loadgen/traffic/rate_curve.h"
#include "loadgen/traffic/virtual_time.h"

namespace sluice {
namespace {

using ::testing::Each;
using ::testing::Ge;
using ::testing::Le;

// Returns all arrivals, in seconds.
std::vector<double> Draw(const TrafficSource& source, std::uint64_t seed = 1) {
  std::vector<double> seconds;
  for (ArrivalStream stream(source, seed); stream.next() != kForever;
       stream.Advance()) {
    seconds.push_back(ToSeconds(stream.next()));
  }
  return seconds;
}

std::size_t CountBetween(const std::vector<double>& times, double from,
                         double to) {
  return static_cast<std::size_t>(std::ranges::count_if(
      times, [&](double time) { return time >= from && time < to; }));
}

TEST(RateCurve, TimeOfInvertsTheExpectedCount) {
  const RateCurve curve = RateCurve::Constant(2, 100) +
                          RateCurve::Bell(20, 60, 300) +
                          RateCurve({{70, 0}, {75, 10}, {80, 0}});
  EXPECT_NEAR(curve.total(), 200 + 300 + 50, 1e-6);
  // Integrates the rate up to each time in small steps.
  double area = 0;
  constexpr double kStep = 0.001;
  for (int i = 0; i < 100'000; ++i) {
    const double seconds = i * kStep;
    if (i % 997 == 0) {
      EXPECT_NEAR(curve.TimeOf(area), seconds, 0.005) << area;
    }
    area += curve.RateAt(seconds + kStep / 2) * kStep;
  }
  EXPECT_TRUE(std::isinf(curve.TimeOf(551)));
}

TEST(ArrivalStream, FollowsItsCurveAsAPoissonProcess) {
  TrafficSource source;
  source.curve = RateCurve({{0, 0}, {100, 200}});
  const std::vector<double> times = Draw(source);
  EXPECT_TRUE(std::ranges::is_sorted(times));
  // The expected number is 10,000, a quarter of them in the first half. The
  // tolerance is five standard deviations.
  EXPECT_NEAR(static_cast<double>(times.size()), 10'000, 500);
  EXPECT_NEAR(static_cast<double>(CountBetween(times, 0, 50)), 2500, 250);
  // The variance of a Poisson count is its mean.
  source.curve = RateCurve::Constant(100, 1000);
  const std::vector<double> even = Draw(source);
  double variance = 0;
  for (int second = 0; second < 1000; ++second) {
    const double count =
        static_cast<double>(CountBetween(even, second, second + 1));
    variance += (count - 100) * (count - 100) / 1000;
  }
  EXPECT_NEAR(variance, 100, 25);
}

TEST(ArrivalStream, EachSiteOfAStormSendsAllAtOnceAtAMomentOfItsOwn) {
  TrafficSource source;
  source.sites = 200;
  source.storms = {{.at = absl::Seconds(100),
                    .within = absl::Seconds(60),
                    .submissions = 5}};
  const std::vector<double> times = Draw(source);
  ASSERT_EQ(times.size(), 1000U);
  EXPECT_TRUE(std::ranges::is_sorted(times));
  EXPECT_THAT(times, Each(Ge(100)));
  EXPECT_THAT(times, Each(Le(160)));
  for (std::size_t i = 0; i < times.size(); i += 5) {
    EXPECT_EQ(times[i], times[i + 4]);
  }
  // With an even distribution, 500 are in the first half, with a standard
  // deviation of 35.
  EXPECT_NEAR(static_cast<double>(CountBetween(times, 100, 130)), 500, 180);
}

TEST(ArrivalStream, TheSameSeedGivesTheSameMoments) {
  TrafficSource source;
  source.curve = RateCurve::Constant(10, 100);
  EXPECT_EQ(Draw(source, 3), Draw(source, 3));
  EXPECT_NE(Draw(source, 3), Draw(source, 4));
}

TEST(ArrivalStream, ItsSitesSendEvenly) {
  TrafficSource source;
  source.curve = RateCurve::Constant(100, 100);
  source.sites = 4;
  std::vector<int> sent(source.sites);
  for (ArrivalStream stream(source, 1); stream.next() != kForever;
       stream.Advance()) {
    ++sent.at(stream.site());
  }
  // The standard deviation is 43.
  for (const int of_site : sent) EXPECT_NEAR(of_site, 2500, 170);
}

TEST(ArrivalStream, OfAStormEachSiteSendsItsOwn) {
  TrafficSource source;
  source.sites = 20;
  source.storms = {
      {.at = absl::Seconds(1), .within = absl::Seconds(10), .submissions = 5}};
  std::vector<int> sent(source.sites);
  std::size_t changes = 0;
  std::size_t last = source.sites;
  for (ArrivalStream stream(source, 1); stream.next() != kForever;
       stream.Advance()) {
    ++sent.at(stream.site());
    if (stream.site() != last) ++changes;
    last = stream.site();
  }
  EXPECT_THAT(sent, Each(5));
  EXPECT_EQ(changes, 20U);
}

TEST(ArrivalStream, MomentsDoNotDependOnHowManySitesThereAre) {
  TrafficSource source;
  source.curve = RateCurve::Constant(10, 100);
  const std::vector<double> of_one = Draw(source);
  source.sites = 50;
  EXPECT_EQ(Draw(source), of_one);
}

}  // namespace
}  // namespace sluice
