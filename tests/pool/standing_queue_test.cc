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
  // Takes a task every 10 ms during `length`, each after a wait of `waited`.
  void TakeFor(Duration length, Duration waited) {
    for (Duration taken{}; taken < length; taken += milliseconds(10)) {
      now_ += milliseconds(10);
      queue_.Taken(waited, kTarget, now_);
    }
  }

  TimePoint now_{std::chrono::hours(1)};
  StandingQueue queue_;
};

TEST_F(StandingQueueTest,
       ABurstThatIsWorkedOffWithinAnIntervalIsNoStandingQueue) {
  TakeFor(milliseconds(240), kLong);
  TakeFor(milliseconds(10), kShort);
  TakeFor(milliseconds(240), kLong);
  EXPECT_FALSE(queue_.stands());
}

TEST_F(StandingQueueTest, IsStandingAfterAnIntervalInWhichAllWaitedTooLong) {
  TakeFor(milliseconds(250), kLong);
  EXPECT_FALSE(queue_.stands());
  TakeFor(milliseconds(10), kLong);
  EXPECT_TRUE(queue_.stands());
}

TEST_F(StandingQueueTest, AWaitOfJustTheTargetIsAsItShouldBe) {
  TakeFor(milliseconds(500), kTarget);
  EXPECT_FALSE(queue_.stands());
}

TEST_F(StandingQueueTest, StaysStandingWhileArrivalsAreTurnedAway) {
  TakeFor(milliseconds(500), kLong);
  for (int i = 0; i < 10; ++i) {
    queue_.TurnedAway(now_);
    TakeFor(milliseconds(50), kShort);
    EXPECT_TRUE(queue_.stands());
  }
  TakeFor(milliseconds(200), kShort);
  EXPECT_FALSE(queue_.stands());
}

TEST_F(StandingQueueTest, IsNotStandingOnceItIsEmpty) {
  TakeFor(milliseconds(500), kLong);
  queue_.TurnedAway(now_);
  queue_.Emptied();
  EXPECT_FALSE(queue_.stands());
  TakeFor(milliseconds(50), kLong);
  EXPECT_FALSE(queue_.stands());
}

}  // namespace
}  // namespace sluice
