#include "stores/position_set.h"

#include <random>
#include <set>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace sluice {
namespace {

using ::testing::ElementsAre;

TEST(PositionSet, NeighboursBecomeOneRange) {
  PositionSet set;
  for (const std::int64_t position : {5, 1, 3, 2, 2, 9, 8}) set.Add(position);
  EXPECT_THAT(set.First(9),
              ElementsAre(PositionRange{1, 3}, PositionRange{5, 5},
                          PositionRange{8, 9}));
  EXPECT_THAT(set.First(1), ElementsAre(PositionRange{1, 3}));
}

TEST(PositionSet, ARangeIsTakenOutOfTheMiddle) {
  PositionSet set;
  for (std::int64_t position = 1; position <= 9; ++position) set.Add(position);
  set.Remove({4, 6});
  EXPECT_THAT(set.First(9),
              ElementsAre(PositionRange{1, 3}, PositionRange{7, 9}));
  set.Remove({0, 100});
  EXPECT_TRUE(set.empty());
}

// Compares the set with a plain set of positions.
TEST(PositionSet, HoldsWhatWasAddedAndNotRemoved) {
  std::mt19937 random(1);
  PositionSet set;
  std::set<std::int64_t> expected;
  for (int step = 0; step < 20'000; ++step) {
    const auto position = static_cast<std::int64_t>(random() % 60);
    if (random() % 4 > 0) {
      set.Add(position);
      expected.insert(position);
    } else {
      const auto last = position + static_cast<std::int64_t>(random() % 9);
      set.Remove({position, last});
      expected.erase(expected.lower_bound(position),
                     expected.upper_bound(last));
    }
    std::set<std::int64_t> held;
    std::int64_t end = -2;
    for (const PositionRange& range : set.First(100)) {
      ASSERT_GT(range.first, end + 1);
      ASSERT_GE(range.last, range.first);
      end = range.last;
      for (std::int64_t p = range.first; p <= end; ++p) held.insert(p);
    }
    ASSERT_EQ(held, expected);
    ASSERT_EQ(set.empty(), expected.empty());
  }
}

}  // namespace
}  // namespace sluice
