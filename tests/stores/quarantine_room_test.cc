#include "stores/quarantine_room.h"

#include <cstddef>
#include <string>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace sluice {
namespace {

constexpr std::size_t kPlenty = std::size_t{1} << 30;

// Adds entries of the study until it may not add more. Returns their number.
std::size_t Fill(QuarantineRoom& room, const std::string& study,
                 std::size_t bytes = 1) {
  std::size_t added = 0;
  for (; room.MayAdd(study); ++added) room.Add(study, bytes);
  return added;
}

TEST(QuarantineRoom, GivesAStudyAsMuchAsItLeavesFree) {
  QuarantineRoom room({.max = 120, .max_bytes = kPlenty});
  EXPECT_EQ(Fill(room, "a"), 60u);
  EXPECT_EQ(Fill(room, "b"), 30u);
  EXPECT_EQ(Fill(room, "c"), 15u);
  EXPECT_TRUE(room.MayAdd("d"));
  EXPECT_FALSE(room.MayAdd("a"));
  EXPECT_EQ(room.entries(), 105u);
}

TEST(QuarantineRoom, SharesBytesInTheSameWay) {
  QuarantineRoom room({.max = kPlenty, .max_bytes = 1200});
  EXPECT_EQ(Fill(room, "a", /*bytes=*/10), 60u);
  EXPECT_EQ(Fill(room, "b", /*bytes=*/10), 30u);
  EXPECT_EQ(room.bytes(), 900u);
}

TEST(QuarantineRoom, TakesAContentAboveTheLimitWhileThereIsRoom) {
  QuarantineRoom room({.max = 10, .max_bytes = 100});
  EXPECT_TRUE(room.MayAdd("a"));
  room.Add("a", 1000);
  EXPECT_FALSE(room.MayAdd("a"));
  EXPECT_FALSE(room.MayAdd("b")) << "nothing is free";
  room.Remove("a", 1000);
  EXPECT_TRUE(room.MayAdd("a"));
  EXPECT_EQ(room.entries(), 0u);
  EXPECT_EQ(room.bytes(), 0u);
}

TEST(QuarantineRoom, OfContentsThatHaveGrownIsNotNegative) {
  QuarantineRoom room({.max = 10, .max_bytes = 100});
  room.Add("a", 10);
  room.Remove("a", 1000);
  EXPECT_EQ(room.bytes(), 0u);
  EXPECT_TRUE(room.MayAdd("b"));
}

// When a study is refused, the quarantine has room for everything that the
// study has in the queue, and other studies are still served.
TEST(QuarantineRoom, HasRoomForEverythingThatWasPromised) {
  for (const std::size_t queue : {1u, 10u, 100u}) {
    QuarantineRoom room({.max = 8 * queue,
                         .max_bytes = 8 * queue,
                         .queue = queue,
                         .queue_bytes = queue});
    EXPECT_TRUE(room.MayPromiseAll());
    while (room.MayPromise("offender")) room.Add("offender", 1);
    EXPECT_FALSE(room.MayPromiseAll());
    // The last submission that was promised is in quarantine now, and the rest
    // of the queue follows.
    for (std::size_t i = 1; i < queue; ++i) {
      EXPECT_TRUE(room.MayAdd("offender")) << i;
      room.Add("offender", 1);
    }
    EXPECT_TRUE(room.MayPromise("honest"));
    room.Add("honest", 1);
    EXPECT_TRUE(room.MayPromise("honest"));
  }
}

TEST(QuarantineRoom, PromisesAllWhileAQuarterIsUsed) {
  QuarantineRoom room(
      {.max = 800, .max_bytes = kPlenty, .queue = 100, .queue_bytes = 100});
  std::size_t i = 0;
  for (; i < 200; ++i) {
    EXPECT_TRUE(room.MayPromiseAll());
    room.Add(absl::StrCat("study ", i % 3), 1);
  }
  for (; room.MayPromiseAll(); ++i) room.Add("study 0", 1);
  EXPECT_TRUE(room.MayPromise("study 1"));
}

TEST(QuarantineRoom, TakesNoMoreAfterALimitWasLowered) {
  QuarantineRoom room(
      {.max = 100, .max_bytes = kPlenty, .queue = 1, .queue_bytes = 1});
  Fill(room, "a");
  room.SetLimits(
      {.max = 10, .max_bytes = kPlenty, .queue = 1, .queue_bytes = 1});
  EXPECT_FALSE(room.MayAdd("a"));
  EXPECT_FALSE(room.MayPromise("b"));
  room.SetLimits({.max = 200, .max_bytes = kPlenty});
  EXPECT_TRUE(room.MayAdd("a"));
}

}  // namespace
}  // namespace sluice
