#include "pool/drain_rate.h"

#include <chrono>

#include "gtest/gtest.h"

namespace sluice {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class DrainRateTest : public testing::Test {
 protected:
  // Records `times` tasks, one every `each`.
  void Work(Duration each, int times) {
    for (int i = 0; i < times; ++i) {
      now_ += each;
      rate_.Record(1, now_);
    }
  }

  DrainRate rate_{seconds(2)};
  TimePoint now_{std::chrono::hours(1)};
};

TEST_F(DrainRateTest, IsZeroWhileNothingIsKnown) {
  EXPECT_EQ(rate_.per_second(), 0);
  rate_.Begin(now_);
  EXPECT_EQ(rate_.per_second(), 0);
}

TEST_F(DrainRateTest, IsTasksBySeconds) {
  rate_.Begin(now_);
  Work(milliseconds(4), 1000);
  EXPECT_NEAR(rate_.per_second(), 250, 0.01);
}

TEST_F(DrainRateTest, CountsEachTaskOfABatch) {
  rate_.Begin(now_);
  rate_.Record(32, now_ + milliseconds(100));
  EXPECT_NEAR(rate_.per_second(), 320, 0.01);
}

TEST_F(DrainRateTest, CountsWhatEndsAtTheSameMoment) {
  rate_.Begin(now_);
  now_ += seconds(1);
  for (int worker = 0; worker < 4; ++worker) rate_.Record(1, now_);
  EXPECT_NEAR(rate_.per_second(), 4, 0.01);
}

TEST_F(DrainRateTest, DoesNotCountTimeWithoutWork) {
  rate_.Begin(now_);
  Work(milliseconds(4), 1000);
  now_ += std::chrono::hours(1);
  rate_.Begin(now_);
  Work(milliseconds(4), 1);
  EXPECT_NEAR(rate_.per_second(), 250, 0.01);
}

TEST_F(DrainRateTest, FollowsTheRateOfTheLastSeconds) {
  rate_.Begin(now_);
  Work(milliseconds(1), 10'000);
  Work(milliseconds(100), 10);
  EXPECT_GT(rate_.per_second(), 100);
  EXPECT_LT(rate_.per_second(), 1000);
  Work(milliseconds(100), 100);
  EXPECT_NEAR(rate_.per_second(), 10, 5);
}

TEST_F(DrainRateTest, IsZeroWhereNoTimePassed) {
  rate_.Begin(now_);
  rate_.Record(1, now_);
  EXPECT_EQ(rate_.per_second(), 0);
}

}  // namespace
}  // namespace sluice
