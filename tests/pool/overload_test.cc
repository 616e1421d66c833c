// What a pool gets done in time when more arrives than it can bear, on virtual
// time: the policies at several capacities, loads and kinds of service.

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

struct Overload {
  std::string policy;
  std::size_t capacity;
  Jitter jitter;
};

class OverloadTest : public testing::TestWithParam<Overload> {
 protected:
  SimulatedLoad Load(double times) const {
    return {.per_second = times * kBorne, .policy = policy_.get()};
  }

  const std::unique_ptr<const AdmissionPolicy> policy_ =
      MakePolicy(GetParam().policy);
  PoolSimulation simulation_{{.limits = {.capacity = GetParam().capacity},
                              .jitter = GetParam().jitter},
                             /*seed=*/1};
};

TEST_P(OverloadTest, WhatIsDoneInTimeStaysAtThePeak) {
  for (const double times : {1.5, 3.0, 10.0, 30.0}) {
    simulation_.Run(Load(0.5), seconds(2));
    const SimulatedCounts counts = simulation_.Run(Load(times), seconds(6));
    EXPECT_GT(static_cast<double>(counts.in_time), 0.95 * kBorne * 6)
        << times << " times the load";
    // At the beginning, and by what takes much longer than it mostly does.
    EXPECT_LT(static_cast<double>(counts.late + counts.gone), 0.02 * kBorne * 6)
        << times << " times the load";

    simulation_.Run(Load(0.5), seconds(1));
    const SimulatedCounts after = simulation_.Run(Load(0.5), seconds(2));
    EXPECT_GT(static_cast<double>(after.in_time),
              0.98 * static_cast<double>(after.arrived))
        << "a second after " << times << " times the load";
  }
}

TEST_P(OverloadTest, AtFourFifthsOfTheLoadNearlyNobodyIsRefused) {
  const SimulatedCounts counts = simulation_.Run(Load(0.8), seconds(6));
  EXPECT_LT(static_cast<double>(counts.refused),
            0.02 * static_cast<double>(counts.arrived));
}

TEST_P(OverloadTest, RecoversFromAStoreThatSlowsDown) {
  simulation_.Run(Load(3), seconds(5));
  simulation_.SetService(milliseconds(50));
  simulation_.Run(Load(3), seconds(2));
  const SimulatedCounts slow = simulation_.Run(Load(3), seconds(6));
  EXPECT_GT(static_cast<double>(slow.in_time), 0.8 * kBorne / 10 * 6);
  simulation_.SetService(milliseconds(5));
  simulation_.Run(Load(3), seconds(1));
  const SimulatedCounts fast = simulation_.Run(Load(3), seconds(5));
  EXPECT_GT(static_cast<double>(fast.in_time), 0.90 * kBorne * 5);
}

std::vector<Overload> Overloads() {
  std::vector<Overload> overloads;
  for (const char* policy : {"block", "fail_fast", "timed_wait"}) {
    for (const std::size_t capacity : {128u, 100'000u}) {
      for (const Jitter jitter : SimulatedJitters()) {
        overloads.push_back({policy, capacity, jitter});
      }
    }
  }
  return overloads;
}

INSTANTIATE_TEST_SUITE_P(All, OverloadTest, testing::ValuesIn(Overloads()),
                         [](const auto& test) {
                           return absl::StrCat(test.param.policy, "_",
                                               test.param.capacity, "_",
                                               NameOf(test.param.jitter));
                         });

TEST(StandingPool, ServesThoseWithoutADeadlineSoonAndRefusesTheOthersAtOnce) {
  const auto policy = MakePolicy("fail_fast");
  PoolSimulation simulation({.limits = {.capacity = 100000}}, /*seed=*/1);
  const SimulatedLoad load = {.per_second = 3 * kBorne,
                              .deadline = std::chrono::hours(1),
                              .policy = policy.get()};
  simulation.Run(load, seconds(2));
  const SimulatedCounts counts = simulation.Run(load, seconds(10));
  EXPECT_GT(static_cast<double>(counts.in_time), 0.95 * kBorne * 10);
  EXPECT_EQ(counts.longest_refusal, Duration::zero());
  // 50 ms of work, and what came in between.
  EXPECT_LE(simulation.gate().view().depth, 60u);
}

}  // namespace
}  // namespace sluice
