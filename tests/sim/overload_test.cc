// Tests the throughput in time of an overloaded pool, for several policies,
// capacities, loads and distributions of service times.

#include <algorithm>
#include <cstddef>
#include <ostream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "gtest/gtest.h"
#include "tests/sim/play.h"

namespace sluice {
namespace {

// Capacity of the pool without slowdowns, in submissions per second.
constexpr double kBorne = 800;

std::string Pool(std::size_t capacity) {
  return absl::StrCat("{queue: {capacity: ", capacity,
                      "}, workers: {min: 4, max: 4}, batch: {max: 1}}");
}

std::string Store(const std::string& more) {
  return absl::StrCat("store: {per_batch: 5ms, per_submission: 0", more, "}\n");
}

// Returns a source with arrivals between two seconds of the run, at a multiple
// of the pool's capacity.
std::string Source(const std::string& name, double times, int from, int to) {
  const double rate = times * kBorne;
  return absl::StrFormat(
      "  %s: {method: Submit, deadline: 250ms, curve: {\"00:00:%02d\": %g, "
      "\"00:00:%02d\": %g}}\n",
      name, from, rate, to, rate);
}

double Share(std::uint64_t part, const SourceResult& source) {
  return static_cast<double>(part) / static_cast<double>(source.submissions);
}

struct Overload {
  std::string policy;
  std::size_t capacity;
  std::string jitter;
};

std::string NameOf(const Overload& overload) {
  return absl::StrCat(overload.policy, "_", overload.capacity, "_",
                      overload.jitter);
}

void PrintTo(const Overload& overload, std::ostream* out) {
  *out << NameOf(overload);
}

class OverloadTest : public testing::TestWithParam<Overload> {
 protected:
  static SimulationResult PlaySources(int seconds, const std::string& sources,
                                      const std::string& store = "") {
    const Overload& overload = GetParam();
    const std::string wait =
        overload.policy == "timed_wait" ? ", max_wait: 250ms" : "";
    return Play(
        ConfigYaml(Pool(overload.capacity),
                   absl::StrCat("{default: {pool: main, on_full: ",
                                overload.policy, wait, "}}")),
        absl::StrCat("duration: ", seconds, "s\n",
                     Store(absl::StrCat(", jitter: ", overload.jitter, store)),
                     "arrivals:\n", sources));
  }
};

TEST_P(OverloadTest, WhatIsDoneInTimeStaysAtThePeak) {
  const std::vector<double> all_times = {1.5, 3, 10, 30};
  constexpr int kSeconds = 11;  // duration for each load
  std::string sources;
  int start = 0;
  for (const double times : all_times) {
    const std::string name = absl::StrCat(times, "-times");
    absl::StrAppend(&sources, Source("before-" + name, 0.5, start, start + 2),
                    Source(name, times, start + 2, start + 8),
                    Source("behind-" + name, 0.5, start + 8, start + 9),
                    Source("after-" + name, 0.5, start + 9, start + 11));
    start += kSeconds;
  }
  const SimulationResult result = PlaySources(start, sources);

  start = 0;
  for (const double times : all_times) {
    SCOPED_TRACE(absl::StrCat(times, " times the load"));
    const std::string name = absl::StrCat(times, "-times");
    const WorkDone done = DoneBetween(result, start + 2, start + 8);
    EXPECT_GT(done.answered, 0.95 * done.borne);
    // Callers are late only at the beginning, and when a batch takes much
    // longer than usual.
    const SourceResult& overload = SourceOf(result, name);
    EXPECT_LT(static_cast<double>(overload.late + overload.left),
              0.02 * kBorne * 6);
    const SourceResult& after = SourceOf(result, "after-" + name);
    EXPECT_GT(Share(after.answered, after), 0.98);
    start += kSeconds;
  }
}

TEST_P(OverloadTest, AtFourFifthsOfTheLoadNearlyNobodyIsRefused) {
  const SimulationResult result = PlaySources(6, Source("all", 0.8, 0, 6));
  const SourceResult& all = result.sources.front();
  EXPECT_LT(Share(all.refused, all), 0.02);
}

TEST_P(OverloadTest, RecoversFromAStoreThatSlowsDown) {
  const SimulationResult result = PlaySources(
      19, Source("all", 3, 0, 19),
      ", slowdown: {a: {from: \"00:00:05\", to: \"00:00:13\", times: 10}}");
  EXPECT_GT(DoneBetween(result, 7, 13).answered, 0.8 * kBorne / 10 * 6);
  EXPECT_GT(DoneBetween(result, 14, 19).answered, 0.90 * kBorne * 5);
}

std::vector<Overload> Overloads() {
  std::vector<Overload> overloads;
  for (const char* policy : {"block", "fail_fast", "timed_wait"}) {
    for (const std::size_t capacity : {128u, 100'000u}) {
      for (const std::string& jitter : SimulatedJitters()) {
        overloads.push_back({policy, capacity, jitter});
      }
    }
  }
  return overloads;
}

INSTANTIATE_TEST_SUITE_P(All, OverloadTest, testing::ValuesIn(Overloads()),
                         [](const auto& test) { return NameOf(test.param); });

TEST(StandingPool, ServesThoseWithoutADeadlineSoonAndRefusesTheOthersAtOnce) {
  const SimulationResult result =
      Play(ConfigYaml(Pool(100'000), "{default: {pool: main}}"),
           absl::StrCat("duration: 12s\n", Store(""),
                        "arrivals: {a: {method: Submit, deadline: 1h, rate: ",
                        3 * kBorne, "}}\n"));
  EXPECT_GT(DoneBetween(result, 2, 12).answered, 0.95 * kBorne * 10);
  EXPECT_GT(result.sources.front().refused, 0U);
  EXPECT_EQ(result.sources.front().refusal.max, 0);
  // 50 ms of work are 40 submissions. Some more arrive meanwhile.
  EXPECT_LE(result.pools.front().windows.back().depth.max, 60);
}

}  // namespace
}  // namespace sluice
