#include "pool/standing_queue.h"

#include <chrono>

#include "gtest/gtest.h"

namespace sluice {
namespace {

using std::chrono::milliseconds;

constexpr Duration kTarget = milliseconds(20);
constexpr Duration kLong = milliseconds(30);
constexpr Duration kShort = milliseconds(5);

class StandingQueueTest : public testing::Test {
 protected:
  // A task is taken every 10 ms, for so long.
  void TakeFor(Duration length, Duration waited) {
    for (Duration taken{}; taken < length; taken += milliseconds(10)) {
      now_ += milliseconds(10);
      queue_.Taken(waited, kTarget, now_);
    }
  }

  TimePoint now_{std::chrono::hours(1)};
  StandingQueue queue_;
};

TEST_F(StandingQueueTest, ABurstThatIsWorkedOffWithinAnIntervalDoesNotStand) {
  TakeFor(milliseconds(240), kLong);
  TakeFor(milliseconds(10), kShort);
  TakeFor(milliseconds(240), kLong);
  EXPECT_FALSE(queue_.stands());
}

TEST_F(StandingQueueTest, StandsAfterAnIntervalInWhichAllWaitedTooLong) {
  TakeFor(milliseconds(250), kLong);
  EXPECT_FALSE(queue_.stands());
  TakeFor(milliseconds(10), kLong);
  EXPECT_TRUE(queue_.stands());
}

TEST_F(StandingQueueTest, AWaitOfJustTheTargetIsAsItShouldBe) {
  TakeFor(milliseconds(500), kTarget);
  EXPECT_FALSE(queue_.stands());
}

TEST_F(StandingQueueTest, GoesOnStandingWhileNewcomersAreTurnedAway) {
  TakeFor(milliseconds(500), kLong);
  for (int i = 0; i < 10; ++i) {
    queue_.TurnedAway(now_);
    TakeFor(milliseconds(50), kShort);
    EXPECT_TRUE(queue_.stands());
  }
  TakeFor(milliseconds(200), kShort);
  EXPECT_FALSE(queue_.stands());
}

TEST_F(StandingQueueTest, StandsNoMoreOnceItIsEmpty) {
  TakeFor(milliseconds(500), kLong);
  queue_.TurnedAway(now_);
  queue_.Emptied();
  EXPECT_FALSE(queue_.stands());
  TakeFor(milliseconds(50), kLong);
  EXPECT_FALSE(queue_.stands());
}

}  // namespace
}  // namespace sluice
