#include "loadgen/internal/timeline.h"

#include <chrono>
#include <vector>

#include "gtest/gtest.h"
#include "loadgen/internal/tally.h"

namespace sluice {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr TimePoint kStart{hours(1)};

Timeline Keep() { return {kStart, seconds(3), seconds(1), milliseconds(250)}; }

TimelineEnd End(milliseconds from, milliseconds to,
                absl::StatusCode code = absl::StatusCode::kOk) {
  return {.intended_start = kStart + from, .end = kStart + to, .code = code};
}

TEST(Timeline, CountsOffersByTheirStartAndEndsByTheirEnd) {
  Timeline timeline = Keep();
  timeline.Offered(kStart + milliseconds(900));
  timeline.Offered(kStart + milliseconds(2999));
  timeline.Ended(End(milliseconds(900), milliseconds(1100)));
  const auto intervals = timeline.intervals();
  ASSERT_EQ(intervals.size(), 3U);
  EXPECT_EQ(intervals[0].offered, 1);
  EXPECT_EQ(intervals[0].in_time, 0);
  EXPECT_EQ(intervals[1].in_time, 1);
  EXPECT_EQ(intervals[2].offered, 1);
}

TEST(Timeline, IsInTimeFromTheIntendedStartOn) {
  Timeline timeline = Keep();
  timeline.Ended(End(milliseconds(0), milliseconds(250)));
  timeline.Ended(End(milliseconds(0), milliseconds(251)));
  EXPECT_EQ(timeline.intervals()[0].in_time, 1);
  EXPECT_EQ(timeline.intervals()[0].late, 1);
}

TEST(Timeline, TellsEndsApart) {
  using absl::StatusCode;
  Timeline timeline = Keep();
  const milliseconds at{10};
  timeline.Ended(End(at, at, StatusCode::kResourceExhausted));
  timeline.Ended(End(at, at, StatusCode::kUnavailable));
  timeline.Ended(End(at, at, StatusCode::kDeadlineExceeded));
  timeline.Ended(End(at, at, StatusCode::kInternal));
  TimelineEnd lost = End(at, at, StatusCode::kUnavailable);
  lost.answered = false;
  timeline.Ended(lost);
  const LoadInterval interval = timeline.intervals()[0];
  EXPECT_EQ(interval.in_time, 0);
  EXPECT_EQ(interval.refused, 2);
  EXPECT_EQ(interval.late, 1);
  EXPECT_EQ(interval.failed, 2);
}

TEST(Timeline, EachIntervalHasPercentilesOfItsOwn) {
  Timeline timeline = Keep();
  for (int i = 1; i <= 100; ++i) {
    timeline.Ended(End(milliseconds(0), milliseconds(i)));
  }
  timeline.Ended(End(milliseconds(1000), milliseconds(1200)));
  // A call that is too late does not count in the percentiles.
  timeline.Ended(End(milliseconds(2000), milliseconds(2500)));
  const auto intervals = timeline.intervals();
  EXPECT_NEAR(static_cast<double>(intervals[0].p50.count()), 50e6, 0.6e6);
  EXPECT_NEAR(static_cast<double>(intervals[0].p99.count()), 99e6, 1.1e6);
  EXPECT_NEAR(static_cast<double>(intervals[1].p99.count()), 200e6, 2.1e6);
  EXPECT_EQ(intervals[2].p99.count(), 0);
}

TEST(Timeline, AnEndOutOfOrderLeavesEarlierPercentilesAsTheyAre) {
  Timeline timeline = Keep();
  timeline.Ended(End(milliseconds(0), milliseconds(100)));
  timeline.Ended(End(milliseconds(1000), milliseconds(1200)));
  timeline.Ended(End(milliseconds(998), milliseconds(999)));
  timeline.Ended(End(milliseconds(1000), milliseconds(1200)));
  const auto intervals = timeline.intervals();
  EXPECT_EQ(intervals[0].in_time, 2);
  EXPECT_NEAR(static_cast<double>(intervals[0].p50.count()), 100e6, 1.1e6);
  EXPECT_NEAR(static_cast<double>(intervals[1].p50.count()), 200e6, 2.1e6);
}

TEST(Timeline, LeavesOutWhatIsOutsideOfTheRun) {
  Timeline timeline = Keep();
  timeline.Offered(kStart - milliseconds(1));
  timeline.Offered(kStart + seconds(3));
  timeline.Ended(End(milliseconds(2900), milliseconds(3000)));
  for (const LoadInterval& interval : timeline.intervals()) {
    EXPECT_EQ(interval.offered + interval.in_time, 0);
  }
}

TEST(Timeline, HasAtMost300IntervalsOfASecondOrMore) {
  EXPECT_EQ(Timeline::LengthFor(seconds(3)), seconds(1));
  EXPECT_EQ(Timeline::LengthFor(minutes(5)), seconds(1));
  EXPECT_EQ(Timeline::LengthFor(minutes(6)), seconds(2));
}

TEST(Timeline, OfATallyHasTheSameCalls) {
  Tally tally(Window{kStart, kStart + seconds(3)});
  tally.Keep(Keep());
  tally.Sent(kStart);
  tally.Sent(kStart + seconds(1));
  tally.NotSent(kStart + seconds(1));
  tally.Ended({.intended_start = kStart, .end = kStart + milliseconds(5)});
  tally.Ended({.intended_start = kStart + seconds(1),
               .end = kStart + seconds(1),
               .code = absl::StatusCode::kUnavailable,
               .connection_lost = true});
  // A copy does not change with the original.
  const Tally copy = tally;
  tally.Ended({.intended_start = kStart, .end = kStart + milliseconds(6)});
  const auto intervals = copy.timeline()->intervals();
  EXPECT_EQ(intervals[0].offered, 1);
  EXPECT_EQ(intervals[0].in_time, 1);
  EXPECT_EQ(intervals[1].offered, 2);
  EXPECT_EQ(intervals[1].failed, 1);
}

}  // namespace
}  // namespace sluice
