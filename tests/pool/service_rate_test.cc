#include "pool/service_rate.h"

#include <chrono>

#include "gtest/gtest.h"

namespace sluice {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class ServiceRateTest : public testing::Test {
 protected:
  // Records `batches` batches of `count` tasks, one batch every `each`.
  void Work(int batches, std::size_t count, Duration each, bool backlog) {
    for (int i = 0; i < batches; ++i) {
      now_ += each;
      rate_.Done(count, milliseconds(20), backlog, now_);
    }
  }

  TimePoint now_{std::chrono::hours(1)};
  ServiceRate rate_;
};

TEST_F(ServiceRateTest, KnowsNothingAtFirst) {
  EXPECT_EQ(rate_.per_second(), 0);
  EXPECT_EQ(rate_.batch(), Duration::zero());
}

TEST_F(ServiceRateTest, MeasuresWhileThereIsABacklog) {
  Work(100, 4, milliseconds(5), /*backlog=*/true);
  EXPECT_NEAR(rate_.per_second(), 800, 1e-6);
}

TEST_F(ServiceRateTest, TimeWithoutABacklogDoesNotCount) {
  Work(100, 4, milliseconds(5), /*backlog=*/true);
  Work(100, 1, milliseconds(500), /*backlog=*/false);
  EXPECT_NEAR(rate_.per_second(), 800, 1e-6);
}

TEST_F(ServiceRateTest, ABacklogIsMeasuredFromACompletionOn) {
  Work(1, 4, milliseconds(5), /*backlog=*/true);
  EXPECT_EQ(rate_.per_second(), 0) << "the backlog may be new";
  Work(1, 4, milliseconds(5), /*backlog=*/true);
  rate_.Emptied();
  Work(1, 1000, milliseconds(1), /*backlog=*/true);
  EXPECT_NEAR(rate_.per_second(), 800, 1e-6);
}

TEST_F(ServiceRateTest, FollowsAChangeWithinSeconds) {
  Work(1000, 4, milliseconds(5), /*backlog=*/true);
  Work(30, 4, milliseconds(100), /*backlog=*/true);
  EXPECT_LT(rate_.per_second(), 2 * 40);
}

TEST_F(ServiceRateTest, AveragesWhatBatchesTake) {
  rate_.Done(1, milliseconds(10), /*backlog=*/false, now_);
  EXPECT_EQ(rate_.batch(), milliseconds(10));
  Work(1000, 1, milliseconds(1), /*backlog=*/false);
  EXPECT_NEAR(std::chrono::duration<double>(rate_.batch()).count(), 0.020,
              1e-6);
}

TEST_F(ServiceRateTest, ABatchThatWasMeasuredLongAgoCountsLess) {
  rate_.Done(1, seconds(2), /*backlog=*/false, now_);
  EXPECT_EQ(rate_.batch_at(now_), seconds(2));
  EXPECT_EQ(rate_.batch_at(now_ + seconds(3)), seconds(2))
      << "the next batch may still be in work";
  EXPECT_LT(rate_.batch_at(now_ + seconds(30)), milliseconds(200));
  EXPECT_LT(rate_.batch_at(now_ + std::chrono::hours(1)), milliseconds(1));
  // The old batch also counts less in the average.
  now_ += seconds(30);
  rate_.Done(1, milliseconds(10), /*backlog=*/false, now_);
  EXPECT_LT(rate_.batch(), milliseconds(200));
}

TEST_F(ServiceRateTest, ARateThatWasMeasuredLongAgoCountsLess) {
  Work(10, 1, seconds(1), /*backlog=*/true);
  EXPECT_NEAR(rate_.per_second_at(now_), 1, 1e-6);
  EXPECT_GT(rate_.per_second_at(now_ + seconds(30)), 10);
  // Batches without a backlog do not measure the rate.
  Work(10, 1, seconds(3), /*backlog=*/false);
  EXPECT_GT(rate_.per_second_at(now_), 10);
  // Two completions with a backlog measure the rate.
  Work(2, 50, milliseconds(100), /*backlog=*/true);
  EXPECT_GT(rate_.per_second_at(now_), 200);
  EXPECT_EQ(rate_.per_second_at(now_), rate_.per_second());
}

TEST_F(ServiceRateTest, AFailureOfTheStoreIsNotMeasured) {
  Work(100, 4, milliseconds(5), /*backlog=*/true);
  now_ += seconds(5);
  rate_.Failed();
  Work(2, 4, milliseconds(5), /*backlog=*/true);
  EXPECT_NEAR(rate_.per_second(), 800, 1e-6);
  EXPECT_NEAR(ToSeconds(rate_.batch()), 0.020, 1e-6);
}

}  // namespace
}  // namespace sluice
