// Tests the effects of one site's storm on the other lanes of its pool, for
// several policies, numbers of lanes and distributions of service times.

#include <array>
#include <cstddef>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "tests/sim/play.h"

namespace sluice {
namespace {

// Capacity of the pool, in submissions per second.
constexpr double kBorne = 800;

std::string Pool(const std::string& fair_by, std::size_t capacity = 100'000) {
  return absl::StrCat("{fair_by: ", fair_by, ", queue: {capacity: ", capacity,
                      "}, workers: {min: 4, max: 4}, batch: {max: 1}}");
}

std::string RunYaml(int seconds, const std::string& jitter = "constant") {
  return absl::StrCat("duration: ", seconds,
                      "s\nstore: {per_batch: 5ms, per_submission: 0, jitter: ",
                      jitter, "}\narrivals:\n");
}

std::string Source(const std::string& name, std::size_t sites, double rate,
                   const std::string& deadline = "250ms",
                   const std::string& method = "Submit") {
  return absl::StrCat("  ", name, ": {method: ", method, ", sites: ", sites,
                      ", rate: ", rate, ", deadline: ", deadline, "}\n");
}

struct Storm {
  std::string policy;
  std::size_t lanes;
  std::size_t capacity;
  std::string jitter;
};

std::string NameOf(const Storm& storm) {
  return absl::StrCat(storm.policy, "_", storm.lanes, "lanes_", storm.capacity,
                      "_", storm.jitter);
}

void PrintTo(const Storm& storm, std::ostream* out) { *out << NameOf(storm); }

class StormTest : public testing::TestWithParam<Storm> {
 protected:
  static constexpr int kSeconds = 22;

  // Simulates one lane that sends a multiple of its share, while all other
  // lanes send 80 % of their share.
  static SimulationResult PlayStorm(double times_share,
                                    const std::string& fair_by) {
    const Storm& storm = GetParam();
    const std::string wait =
        storm.policy == "timed_wait" ? ", max_wait: 250ms" : "";
    const double share = kBorne / static_cast<double>(storm.lanes);
    const std::size_t others = storm.lanes - 1;
    return Play(
        ConfigYaml(Pool(fair_by, storm.capacity),
                   absl::StrCat("{default: {pool: main, on_full: ",
                                storm.policy, wait, "}}")),
        absl::StrCat(RunYaml(kSeconds, storm.jitter),
                     Source("storm", 1, times_share * share),
                     Source("others", others,
                            0.8 * share * static_cast<double>(others))));
  }

  // Returns the share of the other lanes' submissions that was answered in
  // time.
  static double ServedOfOthers(const SimulationResult& result) {
    const SourceResult& others = SourceOf(result, "others");
    return static_cast<double>(others.answered) /
           static_cast<double>(others.submissions);
  }
};

TEST_P(StormTest, LeavesTheOthersTheirShareAndTheirWaits) {
  const SimulationResult calm = PlayStorm(1, "site");
  const SimulationResult storm = PlayStorm(50, "site");
  const double calm_wait = SourceOf(calm, "others").wait.p99;
  const double storm_wait = SourceOf(storm, "others").wait.p99;
  RecordProperty("calm_us", absl::StrCat(calm_wait * 1e6));
  RecordProperty("storm_us", absl::StrCat(storm_wait * 1e6));
  EXPECT_LT(storm_wait, 2 * calm_wait);
  EXPECT_GT(ServedOfOthers(storm), 0.99 * ServedOfOthers(calm));

  // The store works at its capacity.
  EXPECT_GT(DoneBetween(storm, 2, kSeconds).answered,
            0.95 * kBorne * (kSeconds - 2));
}

TEST_P(StormTest, TakesTheShareOfOthersWhereAllShareOneLane) {
  EXPECT_LT(ServedOfOthers(PlayStorm(50, "none")), 0.5);
}

std::vector<Storm> Storms() {
  std::vector<Storm> storms;
  for (const char* policy : {"block", "fail_fast", "timed_wait"}) {
    for (const std::size_t lanes : {2u, 20u}) {
      for (const std::string& jitter : SimulatedJitters()) {
        storms.push_back({policy, lanes, 100'000, jitter});
      }
      storms.push_back({policy, lanes, 128, "exponential"});
    }
  }
  return storms;
}

INSTANTIATE_TEST_SUITE_P(All, StormTest, testing::ValuesIn(Storms()),
                         [](const auto& test) { return NameOf(test.param); });

// Simulates `lanes` lanes with equal rates. Their sum is `times` the capacity
// of the workers.
SimulationResult PlayLanes(std::size_t lanes, double times, int seconds,
                           const std::string& deadline) {
  return Play(ConfigYaml(Pool("site"), "{default: {pool: main}}"),
              absl::StrCat(RunYaml(seconds),
                           Source("all", lanes, times * kBorne, deadline)));
}

TEST(ManyLanes, GetAsMuchDoneInTimeAsOne) {
  for (const std::size_t lanes : {10u, 10'000u}) {
    for (const double times : {1.5, 10.0}) {
      SCOPED_TRACE(absl::StrCat(lanes, " lanes at ", times, " times the load"));
      const SimulationResult result = PlayLanes(lanes, times, 8, "250ms");
      EXPECT_GT(DoneBetween(result, 2, 8).answered, 0.95 * kBorne * 6);
      // The number of lanes does not exceed the number of queued submissions,
      // however many sites send.
      const PoolWindow& total = result.pools.front().total;
      EXPECT_LE(total.lanes.max, total.depth.max);
      EXPECT_LE(total.lanes.mean, total.depth.mean);
    }
  }
}

TEST(ManyLanes, ShareAStandingQueue) {
  const SimulationResult result = PlayLanes(10'000, 3, 4, "1h");
  // 50 ms of work are 40 submissions. Allow for submissions that arrive while
  // the standing queue is being detected.
  EXPECT_LE(result.pools.front().windows.back().depth.max, 60);
}

// Each priority gets at least its weight, and the capacity that higher
// priorities leave unused.
TEST(Priorities, StarveNobody) {
  constexpr int kSeconds = 60;
  constexpr std::array<std::pair<const char*, const char*>, 3> kMethods = {
      {{"Submit", "high"},
       {"SubmitStream", "normal"},
       {"ImportPatients", "low"}}};
  std::string methods = "{default: {pool: main}";
  std::string sources;
  for (const auto& [method, priority] : kMethods) {
    absl::StrAppend(&methods, ", sluice.v1.Ingestion/", method,
                    ": {pool: main, on_full: timed_wait, max_wait: 250ms, "
                    "priority: ",
                    priority, "}");
    absl::StrAppend(&sources, Source(priority, 1, 3 * kBorne, "1s", method));
  }
  const SimulationResult result = Play(ConfigYaml(Pool("none"), methods + "}"),
                                       RunYaml(kSeconds) + sources);
  const auto done = [&](const std::string& name) {
    return static_cast<double>(SourceOf(result, name).answered) /
           (kBorne * kSeconds);
  };
  EXPECT_NEAR(done("high"), 16.0 / 21, 0.02);
  EXPECT_NEAR(done("normal"), 4.0 / 21, 0.01);
  EXPECT_NEAR(done("low"), 1.0 / 21, 0.01);
}

}  // namespace
}  // namespace sluice
