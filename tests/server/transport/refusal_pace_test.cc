#include "server/transport/refusal_pace.h"

#include <chrono>
#include <cstdint>

#include "gtest/gtest.h"

namespace sluice {
namespace {

constexpr TimePoint kNow{std::chrono::hours(1)};
constexpr Duration kTick{1};
constexpr std::uint64_t kStorm = 1;
constexpr std::uint64_t kCalm = 2;
constexpr std::uint64_t kCalmToo = 3;

bool Holds(const RefusalPace& pace, std::uint64_t lane, TimePoint now) {
  return pace.Holds(lane, kForever, /*held=*/0, now);
}

TEST(RefusalPaceTest, ALaneThatIsAloneIsRefusedAtOnce) {
  RefusalPace pace;
  EXPECT_FALSE(Holds(pace, kStorm, kNow));
  pace.ServedAt(kStorm, kNow);
  EXPECT_FALSE(Holds(pace, kStorm, kNow));
}

TEST(RefusalPaceTest, ARefusalWaitsBesideALaneThatWasServed) {
  RefusalPace pace;
  pace.ServedAt(kCalm, kNow);
  EXPECT_TRUE(Holds(pace, kStorm, kNow));
  EXPECT_FALSE(Holds(pace, kCalm, kNow));
  // The storm's own submissions do not hide the other lane.
  pace.ServedAt(kStorm, kNow);
  pace.ServedAt(kStorm, kNow);
  EXPECT_TRUE(Holds(pace, kStorm, kNow));
  EXPECT_TRUE(Holds(pace, kCalm, kNow));
}

TEST(RefusalPaceTest, OneOfManyLanesIsEnough) {
  RefusalPace pace;
  pace.ServedAt(kStorm, kNow);
  pace.ServedAt(kCalm, kNow);
  pace.ServedAt(kCalmToo, kNow);
  for (const std::uint64_t lane : {kStorm, kCalm, kCalmToo}) {
    EXPECT_TRUE(Holds(pace, lane, kNow)) << lane;
  }
}

TEST(RefusalPaceTest, NoRefusalWaitsOnceTheOtherLanesHaveCeased) {
  RefusalPace pace;
  pace.ServedAt(kCalm, kNow);
  const TimePoint ceased = kNow + RefusalPace::kAfterServed;
  pace.ServedAt(kStorm, ceased);
  EXPECT_TRUE(Holds(pace, kStorm, ceased - kTick));
  EXPECT_FALSE(Holds(pace, kStorm, ceased));
}

TEST(RefusalPaceTest, NoRefusalWaitsBeyondTheDeadlineOfItsCaller) {
  RefusalPace pace;
  pace.ServedAt(kCalm, kNow);
  const TimePoint sent = kNow + RefusalPace::kHold;
  EXPECT_FALSE(pace.Holds(kStorm, sent, 0, kNow));
  EXPECT_TRUE(pace.Holds(kStorm, sent + kTick, 0, kNow));
}

TEST(RefusalPaceTest, TheNumberOfRefusalsThatWaitIsBounded) {
  RefusalPace pace;
  pace.ServedAt(kCalm, kNow);
  constexpr std::size_t kMax = RefusalPace::kHeldMax;
  EXPECT_TRUE(pace.Holds(kStorm, kForever, kMax - 1, kNow));
  EXPECT_FALSE(pace.Holds(kStorm, kForever, kMax, kNow));
}

}  // namespace
}  // namespace sluice
