#include "server/admin/sequence_gaps.h"

#include <algorithm>
#include <map>
#include <ostream>
#include <random>
#include <set>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace sluice {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using Ranges = std::vector<SequenceRange>;

constexpr auto kDuplicate = GapReason::kDuplicate;
constexpr auto kConflict = GapReason::kConflict;
constexpr auto kQuarantined = GapReason::kQuarantined;
constexpr auto kQueued = GapReason::kQueued;
constexpr auto kUnaccounted = GapReason::kUnaccounted;
constexpr auto kOtherServer = GapReason::kOtherServer;

// Returns the `n`th sequence number in the series of server `series`.
constexpr std::int64_t Of(std::int64_t series, std::int64_t n) {
  return BeginOfSeries(series) + n;
}

SequenceCensus Census(std::int64_t last, std::vector<std::int64_t> queued = {},
                      std::vector<std::int64_t> quarantined = {}) {
  return {.last = last,
          .queued = std::move(queued),
          .quarantined = std::move(quarantined),
          .discarded = {}};
}

// Returns all gaps if `stored` is read as one page.
Ranges AllOf(SequenceGaps gaps, const std::vector<std::int64_t>& stored,
             const std::vector<Gap>& known = {}) {
  gaps.AddKnown(known);
  Ranges all;
  for (const std::int64_t sequence : stored) {
    const Ranges ranges = gaps.Before(sequence);
    all.insert(all.end(), ranges.begin(), ranges.end());
  }
  const Ranges ranges = gaps.End();
  all.insert(all.end(), ranges.begin(), ranges.end());
  return all;
}

TEST(SequenceGapsTest, FindsNoGapsWhereThereAreNone) {
  EXPECT_THAT(AllOf(SequenceGaps(0, Census(3)), {1, 2, 3}), IsEmpty());
  EXPECT_THAT(AllOf(SequenceGaps(0, Census(0)), {}), IsEmpty());
}

// The store may know the number of a quarantined submission as a conflict.
TEST(SequenceGapsTest, AQuarantinedConflictIsQuarantined) {
  SequenceCensus census = Census(6, /*queued=*/{5}, /*quarantined=*/{1, 2});
  census.discarded = {4, 3};
  EXPECT_THAT(AllOf(SequenceGaps(0, census), {6}, {{1, true}, {3, true}}),
              ElementsAre(SequenceRange{1, 2, kQuarantined},
                          SequenceRange{3, 4, GapReason::kDiscarded},
                          SequenceRange{5, 5, kQueued}));
}

TEST(SequenceGapsTest, UnknownNumbersAreUnaccounted) {
  EXPECT_THAT(AllOf(SequenceGaps(0, Census(9)), {3, 4, 7}),
              ElementsAre(SequenceRange{1, 2, kUnaccounted},
                          SequenceRange{5, 6, kUnaccounted},
                          SequenceRange{8, 9, kUnaccounted}));
}

TEST(SequenceGapsTest, EachRangeHasOneReason) {
  EXPECT_THAT(
      AllOf(SequenceGaps(0, Census(20, {16, 15, 18}, {12, 13})), {1, 20},
            {{2, false}, {3, false}, {4, true}, {9, false}}),
      ElementsAre(
          SequenceRange{2, 3, kDuplicate}, SequenceRange{4, 4, kConflict},
          SequenceRange{5, 8, kUnaccounted}, SequenceRange{9, 9, kDuplicate},
          SequenceRange{10, 11, kUnaccounted},
          SequenceRange{12, 13, kQuarantined},
          SequenceRange{14, 14, kUnaccounted}, SequenceRange{15, 16, kQueued},
          SequenceRange{17, 17, kUnaccounted}, SequenceRange{18, 18, kQueued},
          SequenceRange{19, 19, kUnaccounted}));
}

TEST(SequenceGapsTest, DuplicatesComeBeforeTheQuarantineAndThatBeforeTheQueue) {
  EXPECT_THAT(
      AllOf(SequenceGaps(0, Census(3, {1, 2, 3}, {2, 3})), {}, {{3, false}}),
      ElementsAre(SequenceRange{1, 1, kQueued},
                  SequenceRange{2, 2, kQuarantined},
                  SequenceRange{3, 3, kDuplicate}));
  // A submission that was queued at the census may be stored by now.
  EXPECT_THAT(AllOf(SequenceGaps(0, Census(2, {1, 2}, {2})), {1, 2}),
              IsEmpty());
}

TEST(SequenceGapsTest, NamesTheFirstSubmissionOfADuplicateOrConflict) {
  const std::vector<Gap> known = {
      {.sequence = 2, .conflict = false, .first_sequence = 1},
      {.sequence = 3, .conflict = false, .first_sequence = 1},
      {.sequence = 5, .conflict = false, .first_sequence = 4},
      {.sequence = 6, .conflict = true, .first_sequence = 4},
      {.sequence = 7, .conflict = true, .first_sequence = 4},
      {.sequence = 8, .conflict = true}};
  SequenceCensus census = Census(8);
  census.quarantined = {7};
  EXPECT_THAT(AllOf(SequenceGaps(0, census), {1, 4}, known),
              ElementsAre(SequenceRange{2, 3, kDuplicate, 1},
                          SequenceRange{5, 5, kDuplicate, 4},
                          SequenceRange{6, 6, kConflict, 4},
                          SequenceRange{7, 7, kQuarantined, 0},
                          SequenceRange{8, 8, kConflict, 0}));
}

TEST(SequenceGapsTest, BeginsAfterTheNumberAskedFor) {
  EXPECT_THAT(AllOf(SequenceGaps(4, Census(9, {2, 6}, {4, 5})), {8}),
              ElementsAre(SequenceRange{5, 5, kQuarantined},
                          SequenceRange{6, 6, kQueued},
                          SequenceRange{7, 7, kUnaccounted},
                          SequenceRange{9, 9, kUnaccounted}));
  EXPECT_THAT(AllOf(SequenceGaps(9, Census(9, {3})), {}), IsEmpty());
  EXPECT_THAT(AllOf(SequenceGaps(12, Census(9)), {}), IsEmpty());
}

TEST(SequenceGapsTest, ARangeMayBeAsLongAsASeries) {
  const std::int64_t last = BeginOfSeries(1) - 1;
  EXPECT_THAT(AllOf(SequenceGaps(0, Census(last)), {1}),
              ElementsAre(SequenceRange{2, last, kUnaccounted}));
}

TEST(SequenceGapsTest, NumbersAfterTheCensusAreInNoGap) {
  SequenceGaps gaps(0, Census(5));
  EXPECT_FALSE(gaps.IsLater(5));
  EXPECT_TRUE(gaps.IsLater(6));
  EXPECT_FALSE(gaps.IsLater(Of(1, 1)));
  EXPECT_THAT(AllOf(std::move(gaps), {1, 2, 3, 4, 5}, {{6, false}}), IsEmpty());
}

TEST(SequenceGapsTest, APageMayBeReadTwice) {
  SequenceGaps gaps(0, Census(9));
  const std::vector<Gap> page = {{1, false}, {2, true}, {5, false}};
  gaps.AddKnown(page);
  EXPECT_THAT(gaps.Before(4), ElementsAre(SequenceRange{1, 1, kDuplicate},
                                          SequenceRange{2, 2, kConflict},
                                          SequenceRange{3, 3, kUnaccounted}));
  gaps.AddKnown(page);
  EXPECT_THAT(gaps.End(), ElementsAre(SequenceRange{5, 5, kDuplicate},
                                      SequenceRange{6, 9, kUnaccounted}));
}

// --- Three servers share a store; the census is from server 1 ---

TEST(SequenceGapsTest, TheUnusedNumbersBetweenServersAreNoGap) {
  EXPECT_THAT(AllOf(SequenceGaps(0, Census(Of(1, 2))),
                    {1, 2, Of(1, 1), Of(1, 2), Of(2, 1)}),
              IsEmpty());
}

TEST(SequenceGapsTest, UnknownNumbersOfOtherServersAreTheirs) {
  EXPECT_THAT(
      AllOf(SequenceGaps(0, Census(Of(1, 3))), {3, 5, Of(1, 2), Of(2, 4)}),
      ElementsAre(SequenceRange{1, 2, kOtherServer},
                  SequenceRange{4, 4, kOtherServer},
                  SequenceRange{Of(1, 1), Of(1, 1), kUnaccounted},
                  SequenceRange{Of(1, 3), Of(1, 3), kUnaccounted},
                  SequenceRange{Of(2, 1), Of(2, 3), kOtherServer}));
}

TEST(SequenceGapsTest, TheStoreMayKnowNumbersOfOtherServers) {
  EXPECT_THAT(
      AllOf(SequenceGaps(0, Census(Of(1, 0))), {2, Of(3, 1)},
            {{1, false}, {4, true}, {Of(2, 2), false}, {Of(3, 2), false}}),
      ElementsAre(SequenceRange{1, 1, kDuplicate},
                  SequenceRange{3, 3, kOtherServer},
                  SequenceRange{4, 4, kConflict},
                  SequenceRange{Of(2, 1), Of(2, 1), kOtherServer},
                  SequenceRange{Of(2, 2), Of(2, 2), kDuplicate},
                  SequenceRange{Of(3, 2), Of(3, 2), kDuplicate}));
}

TEST(SequenceGapsTest, OwnNumbersAreFoundAlthoughNoneIsStored) {
  EXPECT_THAT(
      AllOf(SequenceGaps(0, Census(Of(1, 2), {Of(1, 2)})), {1, Of(2, 1)}),
      ElementsAre(SequenceRange{Of(1, 1), Of(1, 1), kUnaccounted},
                  SequenceRange{Of(1, 2), Of(1, 2), kQueued}));
  EXPECT_THAT(AllOf(SequenceGaps(0, Census(Of(1, 1))), {1}),
              ElementsAre(SequenceRange{Of(1, 1), Of(1, 1), kUnaccounted}));
}

// With random input, each number up to the last is either stored or in exactly
// one gap, with the reason of that number.
TEST(SequenceGapsTest, EveryNumberIsStoredOrInOneGap) {
  for (unsigned seed = 0; seed < 300; ++seed) {
    std::mt19937 random(seed);
    const auto last = static_cast<std::int64_t>(random() % 60);
    const auto after = static_cast<std::int64_t>(random() % 10);
    SequenceCensus census = Census(last);
    std::vector<std::int64_t> stored;
    std::vector<Gap> known;
    std::map<std::int64_t, GapReason> expected;
    for (std::int64_t n = 1; n <= last; ++n) {
      GapReason reason = kUnaccounted;
      if (random() % 4 == 0) {
        census.queued.push_back(n);
        reason = kQueued;
      }
      if (random() % 4 == 0) {
        census.quarantined.push_back(n);
        reason = kQuarantined;
      }
      const unsigned fate = random() % 4;
      if (n <= after) continue;
      if (fate == 0) {
        stored.push_back(n);
        continue;
      }
      if (fate == 1) {
        known.push_back({n, random() % 2 == 0});
        if (!known.back().conflict) {
          reason = kDuplicate;
        } else if (reason != kQuarantined) {
          reason = kConflict;
        }
      }
      expected[n] = reason;
    }
    std::ranges::shuffle(census.queued, random);
    std::map<std::int64_t, GapReason> told;
    const Ranges ranges = AllOf(SequenceGaps(after, census), stored, known);
    for (std::size_t i = 0; i < ranges.size(); ++i) {
      EXPECT_LE(ranges[i].first, ranges[i].last);
      if (i > 0) {
        EXPECT_GT(ranges[i].first, ranges[i - 1].last);
        EXPECT_FALSE(ranges[i].first == ranges[i - 1].last + 1 &&
                     ranges[i].reason == ranges[i - 1].reason)
            << "not merged at " << ranges[i].first;
      }
      for (auto n = ranges[i].first; n <= ranges[i].last; ++n) {
        told[n] = ranges[i].reason;
      }
    }
    EXPECT_EQ(told, expected) << "seed " << seed;
  }
}

}  // namespace
}  // namespace sluice
