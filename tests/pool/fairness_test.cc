// What one sender's storm does to others who share its pool by lanes, on
// virtual time: the policies at several numbers of lanes and kinds of service.

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "tests/fakes/pool_simulation.h"

namespace sluice {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::size_t kStorm = 0;

struct Storm {
  std::string policy;
  std::size_t lanes;
  std::size_t capacity;
  Jitter jitter;
};

class StormTest : public testing::TestWithParam<Storm> {
 protected:
  // What became of each lane while the first offers so many times its share,
  // and the others four fifths of theirs.
  std::vector<SimulatedCounts> Run(double times_share, bool by_lane) {
    PoolSimulation simulation(
        {.limits = {.capacity = GetParam().capacity, .by_lane = by_lane},
         .jitter = GetParam().jitter},
        /*seed=*/1);
    const double share = kBorne / static_cast<double>(GetParam().lanes);
    std::vector<SimulatedLoad> loads;
    for (std::size_t lane = 0; lane < GetParam().lanes; ++lane) {
      loads.push_back(
          {.per_second = (lane == kStorm ? times_share : 0.8) * share,
           .policy = policy_.get(),
           .lane = lane + 1});
    }
    simulation.RunAll(loads, seconds(2));
    return simulation.RunAll(loads, seconds(20));
  }

  // Of those who were taken, of all lanes but the first.
  static Duration P99OfOthers(const std::vector<SimulatedCounts>& lanes) {
    SimulatedCounts all;
    for (std::size_t lane = kStorm + 1; lane < lanes.size(); ++lane) {
      all.waits.insert(all.waits.end(), lanes[lane].waits.begin(),
                       lanes[lane].waits.end());
    }
    return all.WaitPercentile(99);
  }

  // Of what the others offered, the part that was done in time.
  static double ServedOfOthers(const std::vector<SimulatedCounts>& lanes) {
    std::size_t arrived = 0;
    std::size_t in_time = 0;
    for (std::size_t lane = kStorm + 1; lane < lanes.size(); ++lane) {
      arrived += lanes[lane].arrived;
      in_time += lanes[lane].in_time;
    }
    return static_cast<double>(in_time) / static_cast<double>(arrived);
  }

  const std::unique_ptr<const AdmissionPolicy> policy_ =
      MakePolicy(GetParam().policy);
};

TEST_P(StormTest, LeavesTheOthersTheirShareAndTheirWaits) {
  const auto calm = Run(1, /*by_lane=*/true);
  const auto storm = Run(50, /*by_lane=*/true);
  RecordProperty("calm_us", absl::StrCat(P99OfOthers(calm).count() / 1000));
  RecordProperty("storm_us", absl::StrCat(P99OfOthers(storm).count() / 1000));
  EXPECT_LT(P99OfOthers(storm), 2 * P99OfOthers(calm));
  EXPECT_GT(ServedOfOthers(storm), 0.99 * ServedOfOthers(calm));

  // And the store is at its peak.
  std::size_t in_time = 0;
  for (const SimulatedCounts& lane : storm) in_time += lane.in_time;
  EXPECT_GT(static_cast<double>(in_time), 0.95 * kBorne * 20);
}

TEST_P(StormTest, TakesTheirsWhereAllShareOneLane) {
  EXPECT_LT(ServedOfOthers(Run(50, /*by_lane=*/false)), 0.5);
}

std::vector<Storm> Storms() {
  std::vector<Storm> storms;
  for (const char* policy : {"block", "fail_fast", "timed_wait"}) {
    for (const std::size_t lanes : {2u, 20u}) {
      for (const Jitter jitter : SimulatedJitters()) {
        storms.push_back({policy, lanes, 100'000, jitter});
      }
      storms.push_back({policy, lanes, 128, Jitter::kExponential});
    }
  }
  return storms;
}

INSTANTIATE_TEST_SUITE_P(All, StormTest, testing::ValuesIn(Storms()),
                         [](const auto& test) {
                           return absl::StrCat(test.param.policy, "_",
                                               test.param.lanes, "lanes_",
                                               test.param.capacity, "_",
                                               NameOf(test.param.jitter));
                         });

// What is done in time of a load of so many lanes, of which each offers as
// much: `times` what the workers can bear.
std::size_t DoneInTime(std::size_t lanes, double times, Duration deadline) {
  const auto policy = MakePolicy("fail_fast");
  PoolSimulation simulation({.limits = {.capacity = 100'000, .by_lane = true}},
                            /*seed=*/1);
  std::vector<SimulatedLoad> loads;
  for (std::size_t lane = 0; lane < lanes; ++lane) {
    loads.push_back({.per_second = times * kBorne / static_cast<double>(lanes),
                     .deadline = deadline,
                     .policy = policy.get(),
                     .lane = lane + 1});
  }
  simulation.RunAll(loads, seconds(2));
  std::size_t in_time = 0;
  for (const SimulatedCounts& lane : simulation.RunAll(loads, seconds(6))) {
    in_time += lane.in_time;
  }
  EXPECT_LE(simulation.gate().lanes(), simulation.gate().depth());
  return in_time;
}

TEST(ManyLanes, GetAsMuchDoneInTimeAsOne) {
  for (const std::size_t lanes : {10u, 10'000u}) {
    for (const double times : {1.5, 10.0}) {
      EXPECT_GT(
          static_cast<double>(DoneInTime(lanes, times, milliseconds(250))),
          0.95 * kBorne * 6)
          << lanes << " lanes at " << times << " times the load";
    }
  }
}

TEST(ManyLanes, StandTogether) {
  const auto policy = MakePolicy("fail_fast");
  PoolSimulation simulation({.limits = {.capacity = 100'000, .by_lane = true}},
                            /*seed=*/1);
  std::vector<SimulatedLoad> loads;
  for (std::size_t lane = 0; lane < 10'000; ++lane) {
    loads.push_back({.per_second = 3 * kBorne / 10'000,
                     .deadline = std::chrono::hours(1),
                     .policy = policy.get(),
                     .lane = lane + 1});
  }
  simulation.RunAll(loads, seconds(4));
  // 50 ms of work, and what came in between.
  EXPECT_LE(simulation.gate().depth(), 60u);
}

// Each class gets what nobody above it wants, and at least its weight.
TEST(Priorities, StarveNobody) {
  const auto policy = MakePolicy("timed_wait");
  PoolSimulation simulation({.limits = {.capacity = 100'000, .by_lane = true}},
                            /*seed=*/1);
  std::vector<SimulatedLoad> loads;
  for (const Priority priority :
       {Priority::kHigh, Priority::kNormal, Priority::kLow}) {
    loads.push_back({.per_second = 3 * kBorne,
                     .deadline = seconds(1),
                     .policy = policy.get(),
                     .priority = priority});
  }
  simulation.RunAll(loads, seconds(2));
  const auto counts = simulation.RunAll(loads, seconds(21));
  const auto done = [&](std::size_t load) {
    return static_cast<double>(counts[load].in_time) / (kBorne * 21);
  };
  EXPECT_NEAR(done(0), 16.0 / 21, 0.02);
  EXPECT_NEAR(done(1), 4.0 / 21, 0.01);
  EXPECT_NEAR(done(2), 1.0 / 21, 0.01);
}

}  // namespace
}  // namespace sluice
