#include "server/transport/long_call_share.h"

#include <chrono>

#include "gtest/gtest.h"

namespace sluice {
namespace {

using std::chrono::microseconds;

constexpr TimePoint kNow{std::chrono::hours(1)};

TEST(LongCallShareTest, WithoutShortCallsTurnsFollowAtOnce) {
  LongCallShare share;
  share.HadTurn(kNow - LongCallShare::kTurn, kNow);
  EXPECT_LE(share.NextAt(kNow), kNow);
}

TEST(LongCallShareTest, BesideShortCallsAPauseFollowsEachTurn) {
  LongCallShare share;
  share.ShortCallAt(kNow);
  EXPECT_LE(share.NextAt(kNow), kNow);
  const TimePoint end = kNow + microseconds(300);
  share.HadTurn(kNow, end);
  EXPECT_EQ(share.NextAt(end),
            end + (LongCallShare::kParts - 1) * microseconds(300));
}

TEST(LongCallShareTest, ThePauseEndsWhenShortCallsHaveCeased) {
  LongCallShare share;
  share.ShortCallAt(kNow);
  share.HadTurn(kNow, kNow + std::chrono::seconds(10));
  const TimePoint ceased = kNow + LongCallShare::kAfterShortCall;
  EXPECT_GT(share.NextAt(ceased - microseconds(1)), ceased);
  EXPECT_LE(share.NextAt(ceased), ceased);
}

}  // namespace
}  // namespace sluice
