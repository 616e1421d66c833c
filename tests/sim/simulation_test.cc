#include "tools/sim/simulation.h"

#include <cstddef>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/sim/play.h"
#include "tools/sim/html_report.h"
#include "tools/sim/json_report.h"
#include "tools/sim/summary.h"

namespace sluice {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

// Returns a configuration with one pool, used by all methods. `method` is the
// value of `methods: default`.
std::string OnePool(const std::string& pool,
                    const std::string& method = "{pool: main}") {
  return ConfigYaml(pool, absl::StrCat("{default: ", method, "}"));
}

// Returns a pool with one worker, batches of one, and a queue that never fills.
std::string OneByOne() {
  return OnePool(
      "{queue: {capacity: 1000000}, workers: {min: 1, max: 1}, "
      "batch: {max: 1}}");
}

std::string TrafficYaml(const std::string& store, const std::string& source,
                        const std::string& run = "duration: 1h\n") {
  return absl::StrCat(run, "store: ", store, "\narrivals: {a: ", source, "}\n");
}

double MeanWait(const std::string& jitter, int rate) {
  const SimulationResult result =
      Play(OneByOne(),
           TrafficYaml(absl::StrCat("{per_batch: 1ms, per_submission: 0, "
                                    "jitter: ",
                                    jitter, "}"),
                       absl::StrCat("{method: Submit, rate: ", rate, "}")));
  return result.pools[0].total.wait.mean;
}

// --- Agreement with queueing theory ---

// M/M/1: the mean wait is load / (1 - load) times the service time.
TEST(Simulation, OneWorkerWithExponentialTimesWaitsAsTheorySays) {
  EXPECT_NEAR(MeanWait("exponential", 500), 1e-3, 0.02e-3);
  EXPECT_NEAR(MeanWait("exponential", 800), 4e-3, 0.12e-3);
}

// M/D/1: the mean wait is half the mean wait of M/M/1.
TEST(Simulation, OneWorkerWithConstantTimesWaitsHalfAsLong) {
  EXPECT_NEAR(MeanWait("constant", 500), 0.5e-3, 0.01e-3);
  EXPECT_NEAR(MeanWait("constant", 800), 2e-3, 0.06e-3);
}

// M/M/4 at 80 %: by Erlang's C formula, 0.596 of all submissions wait. The mean
// wait is 0.596 / (4 / 10 ms - 320/s) = 7.46 ms.
TEST(Simulation, SeveralWorkersShareAQueueAsTheorySays) {
  const SimulationResult result =
      Play(OnePool("{queue: {capacity: 1000000}, "
                   "workers: {min: 4, max: 4}, batch: {max: 1}}"),
           TrafficYaml("{per_batch: 10ms, per_submission: 0, jitter: "
                       "exponential}",
                       "{method: Submit, rate: 320}"));
  EXPECT_NEAR(result.pools[0].total.wait.mean, 7.46e-3, 0.25e-3);
  EXPECT_NEAR(result.pools[0].total.busy.mean, 3.2, 0.05);
}

TEST(Simulation, UnderOverloadTheStoreWorksAtItsCapacity) {
  const SimulationResult result =
      Play(OnePool("{queue: {capacity: 100}, workers: {min: 2, max: 2}, "
                   "batch: {max: 10}}"),
           TrafficYaml("{per_batch: 5ms, per_submission: 500us}",
                       "{method: Submit, rate: 5000}", "duration: 100s\n"));
  // The pool has 2 workers, each with a batch of 10 in 10 ms.
  const PoolResult& pool = result.pools[0];
  EXPECT_DOUBLE_EQ(pool.total.capacity_per_second, 2000);
  EXPECT_NEAR(static_cast<double>(pool.total.stored) / 100, 2000, 10);
  EXPECT_NEAR(pool.total.busy.mean, 2, 0.01);
  EXPECT_NEAR(static_cast<double>(result.methods[0].refused) / 100, 3000, 60);
  EXPECT_EQ(pool.total.depth.max, 100);
  // 6 workers are enough for over 5,000 submissions per second.
  EXPECT_EQ(NeedsOf(result, pool).workers, 6U);
}

// --- Callers ---

TEST(Simulation, CallersWhoCouldNotBeServedInTimeAreRefused) {
  // Submissions arrive twice as fast as they are processed, so most wait too
  // long.
  const SimulationResult result =
      Play(OneByOne(), TrafficYaml("{per_batch: 1s, per_submission: 0}",
                                   "{method: Submit, rate: 2, deadline: 5s}"));
  const MethodResult& method = result.methods[0];
  EXPECT_NEAR(static_cast<double>(method.answered), 3600, 72);
  EXPECT_NEAR(static_cast<double>(method.refused), 3600, 300);
  // Until the Gate knows the store's times, some submissions wait in vain.
  EXPECT_LE(method.late + method.left, 20U);
  EXPECT_LE(method.answer.max, 5.0);
  // Callers whose deadline passes free their places at once.
  EXPECT_LE(result.pools[0].total.depth.max, 30);
}

TEST(Simulation, CallersLeaveWhenTheirDeadlinePasses) {
  // The store stops, so queued callers can only leave at their deadline.
  const SimulationResult result =
      Play(OneByOne(),
           TrafficYaml("{per_batch: 100ms, per_submission: 0, slowdown: {stop: "
                       "{from: \"00:10\", to: \"00:20\", times: 100}}}",
                       "{method: Submit, rate: 8, deadline: 5s}"));
  EXPECT_GT(result.methods[0].left, 0U);
}

TEST(Simulation, WhoIsRefusedFromTheQueueIsCountedAsSuch) {
  // All submissions arrive at once, before the Gate knows how slow the store
  // has become.
  const SimulationResult result =
      Play(OneByOne(),
           TrafficYaml("{per_batch: 10ms, per_submission: 0, slowdown: {a: "
                       "{from: \"00:00:01\", to: \"00:01\", times: 20}}}",
                       "{method: Submit, deadline: 5s, sites: 1, storms: {a: "
                       "{at: \"00:00\", submissions: 300}}}",
                       "duration: 1m\n"));
  const MethodResult& method = result.methods[0];
  EXPECT_EQ(method.counters.admitted, 300U);
  EXPECT_GT(method.refused, 0U);
  EXPECT_EQ(result.pools[0].total.refused(), method.refused);
}

TEST(Simulation, ParkedCallersEnterOrAreRefusedAsTheirPolicySays) {
  const SimulationResult result =
      Play(OnePool("{queue: {capacity: 1}, waiting: {max: 100}, workers: "
                   "{min: 1, max: 1}, batch: {max: 1}}",
                   "{pool: main, on_full: timed_wait, max_wait: 3500ms}"),
           TrafficYaml("{per_batch: 1s, per_submission: 0}",
                       "{method: Submit, rate: 3}"));
  const MethodResult& method = result.methods[0];
  const auto rejected = [&](TaskResult reason) {
    return method.counters.not_admitted[reason];
  };
  EXPECT_EQ(method.refused,
            rejected(TaskResult::kWaitOver) + rejected(TaskResult::kHopeless));
  EXPECT_NEAR(static_cast<double>(method.refused), 7200, 350);
  // The longest wait is the time parked, the time behind a task in work, and
  // the time in work.
  EXPECT_LE(method.answer.max, 5.5);
  EXPECT_GT(method.answer.p50, 3.0);
  const PoolWindow& total = result.pools[0].total;
  EXPECT_GT(total.waiting.mean, 1);
  // One submission is in work, one is queued, the others are parked. Callers
  // that left hold no bytes.
  EXPECT_LE(total.bytes.max, 2048 * (2 + total.waiting.max));
}

TEST(Simulation, ARefusalIsTimedFromItsAttempt) {
  // One submission is in work, one is queued, and one is parked until
  // `max_wait`.
  const SimulationResult result = Play(
      OnePool("{queue: {capacity: 1}, workers: {min: 1, max: 1}, batch: {max: "
              "1}}",
              "{pool: main, on_full: timed_wait, max_wait: 2s}"),
      TrafficYaml("{per_batch: 1m, per_submission: 0}",
                  "{method: Submit, sites: 1, storms: {a: {at: \"00:00\", "
                  "submissions: 3}}}",
                  "duration: 30s\n"));
  EXPECT_EQ(result.sources[0].refusal.count, 1);
  EXPECT_EQ(result.sources[0].refusal.max, 2);
}

TEST(Simulation, ARefusedCallerComesBackAtMostAsOftenAsItTries) {
  const std::string config = OnePool(
      "{queue: {capacity: 1}, workers: {min: 1, max: 1}, batch: {max: 1}}");
  const auto run = [&](int attempts) {
    return Play(config,
                TrafficYaml("{per_batch: 1s, per_submission: 0}",
                            absl::StrCat("{method: Submit, rate: 3, retries: "
                                         "{attempts: ",
                                         attempts, "}}")))
        .methods[0];
  };
  const MethodResult once = run(1);
  EXPECT_EQ(once.attempts, once.submissions);
  EXPECT_EQ(once.returning, 0U);
  const MethodResult thrice = run(3);
  // About a third of the submissions is admitted. All others make three
  // attempts.
  EXPECT_GT(thrice.attempts, 2 * thrice.submissions);
  EXPECT_LE(thrice.attempts, 3 * thrice.submissions);
  EXPECT_EQ(thrice.submissions, once.submissions);
}

TEST(Simulation, AnAcknowledgedCallerDoesNotWaitForTheStore) {
  const SimulationResult result =
      Play(OnePool("{queue: {capacity: 1000000}, workers: {min: 1, max: 1}, "
                   "batch: {max: 1}}",
                   "{pool: main, ack: queued, allow_loss: true}"),
           TrafficYaml("{per_batch: 1s, per_submission: 0}",
                       "{method: Submit, rate: 2, deadline: 1s}"));
  const MethodResult& method = result.methods[0];
  EXPECT_EQ(method.answered, method.submissions);
  EXPECT_EQ(method.answer.max, 0);
  EXPECT_GT(result.pools[0].total.depth.max, 3000);
}

TEST(Simulation, DroppedSubmissionsAreCountedAsSuch) {
  const SimulationResult result =
      Play(OnePool("{queue: {capacity: 1}, workers: {min: 1, max: 1}, "
                   "batch: {max: 1}}",
                   "{pool: main, on_full: drop, allow_loss: true}"),
           TrafficYaml("{per_batch: 1s, per_submission: 0}",
                       "{method: Submit, rate: 3, retries: {attempts: 9}}"));
  const MethodResult& method = result.methods[0];
  EXPECT_GT(method.dropped, 6000U);
  EXPECT_EQ(method.attempts, method.submissions);
}

TEST(Simulation, WhoIsDroppedFromTheQueueIsCountedAsSuch) {
  const SimulationResult result =
      Play(OnePool("{queue: {capacity: 1}, workers: {min: 1, max: 1}, "
                   "batch: {max: 1}}",
                   "{pool: main, on_full: drop_oldest, allow_loss: true}"),
           TrafficYaml("{per_batch: 1s, per_submission: 0}",
                       "{method: Submit, rate: 3, deadline: 1h}"));
  const MethodResult& method = result.methods[0];
  EXPECT_GT(method.dropped, 6000U);
  EXPECT_EQ(method.counters.not_admitted[TaskResult::kDropped], 0U);
  EXPECT_EQ(result.pools[0].total.dropped, method.dropped);
}

// --- Sites and studies ---

TEST(Simulation, WhoSharesALaneIsForThePoolToSay) {
  // No submission is processed within the run: the storms of ten sites stay
  // queued.
  const auto lanes = [](const std::string& fair_by) {
    const SimulationResult result = Play(
        OnePool(absl::StrCat("{fair_by: ", fair_by,
                             ", queue: {capacity: 100}, workers: {min: 1, max: "
                             "1}, batch: {max: 1}}")),
        "duration: 10s\n"
        "store: {per_batch: 1m, per_submission: 0}\n"
        "arrivals:\n"
        "  a: {method: Submit, sites: 6, studies: 2, storms: {a: {at: "
        "\"00:00\", submissions: 3}}}\n"
        "  b: {method: Submit, sites: 4, storms: {b: {at: \"00:00\", "
        "submissions: 3}}}\n");
    return result.pools[0].windows.back().lanes.max;
  };
  EXPECT_EQ(lanes("none"), 1);
  EXPECT_EQ(lanes("study"), 3);
  EXPECT_EQ(lanes("site"), 10);
}

TEST(Simulation, EachSourceShowsWhatBecameOfIt) {
  const SimulationResult result = Play(
      OnePool("{fair_by: site, queue: {capacity: 100}, workers: {min: 1, max: "
              "1}, batch: {max: 1}}"),
      "duration: 10m\n"
      "store: {per_batch: 10ms, per_submission: 0}\n"
      "arrivals:\n"
      "  quiet: {method: Submit, rate: 20, deadline: 5s}\n"
      "  loud: {method: Submit, rate: 500, deadline: 5s, retries: {attempts: "
      "2}}\n");
  const SourceResult& quiet = SourceOf(result, "quiet");
  const SourceResult& loud = SourceOf(result, "loud");
  EXPECT_GT(quiet.answered, quiet.submissions * 99 / 100);
  EXPECT_LT(quiet.wait.p99, 0.1);
  EXPECT_GT(loud.refused, loud.submissions * 3 / 4);
  EXPECT_GT(loud.refusals, loud.refused);
  EXPECT_GT(loud.wait.p50, quiet.wait.p99);
  // Refusals are immediate.
  EXPECT_EQ(loud.refusal.p99, 0);
  EXPECT_EQ(static_cast<std::uint64_t>(loud.refusal.count), loud.refusals);

  const MethodResult& method = result.methods[0];
  EXPECT_EQ(method.submissions, quiet.submissions + loud.submissions);
  EXPECT_EQ(method.answered, quiet.answered + loud.answered);
  EXPECT_EQ(method.refusals, quiet.refusals + loud.refusals);
  EXPECT_EQ(method.refusals, result.pools[0].total.refused());
  EXPECT_EQ(method.wait.count, result.pools[0].total.wait.count);
  EXPECT_EQ(method.wait.max, loud.wait.max);

  EXPECT_THAT(Summarize(result),
              ElementsAre(StartsWith("In 10 min, "),
                          AllOf(StartsWith("Source quiet: "),
                                HasSubstr("waited at most ")),
                          AllOf(StartsWith("Source loud: "),
                                HasSubstr("were refused for good")),
                          StartsWith("Pool main: ")));
  EXPECT_THAT(HtmlReport(result, "test"),
              AllOf(HasSubstr("<td>quiet (Submit)</td>"),
                    HasSubstr("<td>loud (Submit)</td>")));
}

// --- The report ---

TEST(Simulation, ASlowStoreShowsWhereItIsSlow) {
  const SimulationResult result =
      Play(OneByOne(),
           TrafficYaml("{per_batch: 1ms, per_submission: 0, slowdown: {backup: "
                       "{from: \"00:20\", to: \"00:30\", times: 10}}}",
                       "{method: Submit, rate: 50}"));
  EXPECT_EQ(result.window_seconds, 15);
  const std::vector<PoolWindow>& windows = result.pools[0].windows;
  ASSERT_EQ(windows.size(), 240U);
  EXPECT_NEAR(windows[40].busy.mean, 0.05, 0.02);
  EXPECT_NEAR(windows[100].busy.mean, 0.5, 0.15);
  EXPECT_NEAR(windows[160].busy.mean, 0.05, 0.02);
  EXPECT_GT(windows[100].answer.p50, 9e-3);
  EXPECT_LT(windows[160].answer.p50, 2e-3);
  EXPECT_DOUBLE_EQ(windows[100].capacity_per_second, 100);
}

TEST(Simulation, WorkersFollowTheLoad) {
  // A worker processes 200 submissions per second, so the peak needs 5 workers.
  const SimulationResult result =
      Play(OnePool("{queue: {capacity: 10000}, workers: {min: 1, max: 8}, "
                   "batch: {max: 1}}"),
           TrafficYaml("{per_batch: 5ms, per_submission: 0}",
                       "{method: Submit, curve: {\"00:00\": 50, \"00:20\": 50, "
                       "\"00:30\": 1000, \"00:40\": 50, \"01:00\": 50}}"));
  const std::vector<PoolWindow>& windows = result.pools[0].windows;
  ASSERT_EQ(windows.size(), 240U);  // the intervals have 15 s
  EXPECT_EQ(windows[40].workers.max, 1);
  EXPECT_GE(windows[120].workers.mean, 5);
  EXPECT_LE(windows[120].workers.max, 8);
  EXPECT_LE(windows[120].busy.mean, windows[120].workers.mean);
  EXPECT_EQ(windows[230].workers.max, 1);
  EXPECT_EQ(result.methods[0].refused, 0U);
}

TEST(Simulation, WindowsAddUpToTheTotal) {
  const SimulationResult result =
      Play(OnePool("{queue: {capacity: 3}, workers: {min: 1, max: 1}, "
                   "batch: {max: 2}}"),
           TrafficYaml("{per_batch: 1s, per_submission: 0, jitter: pareto}",
                       "{method: Submit, rate: 3, deadline: 4s, retries: "
                       "{attempts: 2}}",
                       "duration: 5003500ms\n"));
  PoolWindow sum;
  for (const PoolWindow& window : result.pools[0].windows) {
    sum.submissions += window.submissions;
    sum.arrivals += window.arrivals;
    sum.left += window.left;
    sum.stored += window.stored;
    sum.answered += window.answered;
    sum.late += window.late;
    sum.dropped += window.refused();
  }
  const PoolWindow& total = result.pools[0].total;
  const MethodResult& method = result.methods[0];
  EXPECT_EQ(sum.submissions, method.submissions);
  EXPECT_EQ(sum.arrivals, method.attempts);
  EXPECT_EQ(sum.left, total.left);
  EXPECT_EQ(sum.left, method.left);
  EXPECT_EQ(sum.stored, total.stored);
  EXPECT_EQ(sum.answered, method.answered);
  EXPECT_EQ(sum.late, method.late);
  EXPECT_EQ(sum.dropped, total.refused());
}

TEST(Simulation, MemoryIsWhatIsQueuedInWorkAndParked) {
  // No submission is processed within the run. A hundred submissions arrive at
  // once: one is in work, two are queued, five are parked, the others are
  // refused.
  const SimulationResult result = Play(
      OnePool("{queue: {capacity: 2}, waiting: {max: 5}, workers: "
              "{min: 1, max: 1}, batch: {max: 1}}",
              "{pool: main, on_full: block}"),
      TrafficYaml("{per_batch: 1m, per_submission: 0}",
                  "{method: Submit, sites: 1, bytes: 1000, storms: {a: {at: "
                  "\"00:00\", submissions: 100}}}",
                  "duration: 30s\n"));
  const PoolWindow& total = result.pools[0].total;
  EXPECT_EQ(total.bytes.max, 8000);
  EXPECT_EQ(total.depth.max, 2);
  EXPECT_EQ(total.waiting.max, 5);
  EXPECT_NEAR(total.bytes.mean, 8000, 1);
  EXPECT_EQ(result.methods[0].refused, 92U);
  EXPECT_EQ(result.methods[0].pending(), 8U);
}

TEST(Simulation, TheSameSeedGivesTheSameBytes) {
  const auto play = [](int seed) {
    return Play(
        OnePool("{queue: {capacity: 30}, workers: {min: 2, max: 2}, batch: "
                "{max: 3}}"),
        TrafficYaml("{per_batch: 10ms, per_submission: 1ms, jitter: pareto}",
                    "{method: Submit, rate: 400, deadline: 1s, retries: "
                    "{attempts: 3}}",
                    absl::StrCat("duration: 1m\nseed: ", seed, "\n")));
  };
  const SimulationResult one = play(1);
  const SimulationResult again = play(1);
  const SimulationResult other = play(2);
  EXPECT_EQ(HtmlReport(one, "test"), HtmlReport(again, "test"));
  EXPECT_EQ(JsonReport(one), JsonReport(again));
  EXPECT_NE(one.methods[0].submissions, other.methods[0].submissions);
  EXPECT_NE(one.pools[0].total.wait.mean, other.pools[0].total.wait.mean);
}

TEST(Simulation, ThePageHasTheSummaryTheValuesAndTheReport) {
  const SimulationResult result =
      Play(OnePool("{queue: {capacity: 100}, workers: {min: 2, max: 2}, "
                   "batch: {max: 10}}"),
           TrafficYaml("{per_batch: 5ms, per_submission: 500us}",
                       "{method: Submit, rate: 4000}",
                       "start: \"20:00\"\nduration: 100s\n"));
  const std::string html = HtmlReport(result, "<peak> & more");
  EXPECT_THAT(
      html,
      AllOf(HasSubstr("<h1>&lt;peak&gt; &amp; more</h1>"),
            HasSubstr("Values of pool main"), HasSubstr("<td>20:01</td>"),
            HasSubstr(JsonReport(result, JsonStyle::kCompact)),
            HasSubstr("function chartsOf(report)"), Not(HasSubstr("<peak>"))));
  const std::string summary = Summarize(result).at(1);
  EXPECT_THAT(summary,
              AllOf(HasSubstr("new submissions a second arrived"),
                    HasSubstr("QUEUE_FULL 5"), HasSubstr("can process 2,000/s"),
                    HasSubstr("5 workers would be needed")));
}

}  // namespace
}  // namespace sluice
