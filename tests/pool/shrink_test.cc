#include "tests/pool/shrink.h"

#include <algorithm>
#include <cstddef>
#include <numeric>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace sluice {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

constexpr std::size_t kPlenty = 100'000;

std::vector<int> Numbers(int count) {
  std::vector<int> numbers(static_cast<std::size_t>(count));
  std::iota(numbers.begin(), numbers.end(), 0);
  return numbers;
}

bool Has(const std::vector<int>& list, int number) {
  return std::ranges::find(list, number) != list.end();
}

TEST(Shrink, LeavesWhatTheFailureNeedsInItsOrder) {
  EXPECT_THAT(Shrink<int>(
                  Numbers(1000),
                  [](const auto& list) {
                    return Has(list, 3) && Has(list, 500) && Has(list, 999);
                  },
                  kPlenty),
              ElementsAre(3, 500, 999));
}

TEST(Shrink, LeavesNothingWhereNothingIsNeeded) {
  EXPECT_THAT(Shrink<int>(
                  Numbers(7), [](const auto&) { return true; }, kPlenty),
              IsEmpty());
}

TEST(Shrink, LeavesAllWhereAllIsNeeded) {
  EXPECT_THAT(Shrink<int>(
                  Numbers(7), [](const auto& list) { return list.size() == 7; },
                  kPlenty),
              SizeIs(7));
}

TEST(Shrink, TriesAgainWhatALaterOneMadeSuperfluous) {
  // Item 0 is needed only while item 2 is in the list.
  const auto result = Shrink<int>(
      Numbers(4),
      [](const auto& list) {
        return Has(list, 3) && (Has(list, 0) || !Has(list, 2));
      },
      kPlenty);
  EXPECT_THAT(result, ElementsAre(3));
}

TEST(Shrink, GivesUpAfterSoManyTrials) {
  std::size_t trials = 0;
  const auto result = Shrink<int>(
      Numbers(1000),
      [&](const auto& list) {
        ++trials;
        return Has(list, 3) && Has(list, 999);
      },
      20);
  EXPECT_EQ(trials, 20U);
  EXPECT_TRUE(Has(result, 3) && Has(result, 999));
}

}  // namespace
}  // namespace sluice
