#include "stores/discard_store.h"

#include <atomic>
#include <optional>
#include <thread>
#include <vector>

#include "absl/synchronization/barrier.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/stores/store_fixture.h"

namespace sluice {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::Eq;

constexpr absl::Duration kMean = absl::Milliseconds(5);

// Returns the mean delay for evenly spread random numbers.
double MeanMs(Jitter jitter) {
  constexpr int kDraws = 1'000'000;
  double total_ms = 0;
  for (int i = 0; i < kDraws; ++i) {
    total_ms +=
        absl::ToDoubleMilliseconds(Jittered(kMean, jitter, (i + 0.5) / kDraws));
  }
  return total_ms / kDraws;
}

TEST(Jittered, ConstantIsTheMean) {
  EXPECT_EQ(Jittered(kMean, Jitter::kConstant, 0), kMean);
  EXPECT_EQ(Jittered(kMean, Jitter::kConstant, 0.999), kMean);
}

TEST(Jittered, ExponentialHasTheMeanAndItsMedian) {
  EXPECT_NEAR(MeanMs(Jitter::kExponential), 5, 0.001);
  EXPECT_NEAR(
      absl::ToDoubleMilliseconds(Jittered(kMean, Jitter::kExponential, 0.5)),
      5 * 0.693, 0.001);
  EXPECT_EQ(Jittered(kMean, Jitter::kExponential, 0), absl::ZeroDuration());
}

TEST(Jittered, ParetoHasTheMeanAndAHeavyTailThatEnds) {
  EXPECT_NEAR(MeanMs(Jitter::kPareto), 5, 0.001);
  EXPECT_LT(Jittered(kMean, Jitter::kPareto, 0.5), 0.6 * kMean);
  EXPECT_GT(Jittered(kMean, Jitter::kPareto, 0.999), 30 * kMean);
  const absl::Duration longest = Jittered(kMean, Jitter::kPareto, 1 - 0x1p-53);
  EXPECT_LT(longest, 100.001 * kMean);
  EXPECT_GT(longest, 99.9 * kMean);
}

TEST(Jittered, NoDelayStaysNone) {
  for (Jitter jitter :
       {Jitter::kConstant, Jitter::kExponential, Jitter::kPareto}) {
    EXPECT_EQ(Jittered(absl::ZeroDuration(), jitter, 0.9),
              absl::ZeroDuration());
  }
}

TEST(DiscardStore, SleepsOncePerBatchForWhatWasDrawn) {
  std::vector<absl::Duration> slept;
  DiscardStore store({.delay = kMean,
                      .jitter = Jitter::kExponential,
                      .uniform = [] { return 0.75; },
                      .sleep = [&](absl::Duration d) { slept.push_back(d); }});
  const std::vector<Submission> batch = {MakeSubmission(1, "a"),
                                         MakeSubmission(2, "b")};
  std::vector<Saved> saved(2);
  EXPECT_TRUE(store.SaveBatch(batch, absl::MakeSpan(saved)).ok());
  EXPECT_THAT(slept, ElementsAre(Jittered(kMean, Jitter::kExponential, 0.75)));
}

TEST(DiscardStore, KeepsNothing) {
  DiscardStore store({});
  const std::vector<Submission> batch = {MakeSubmission(7, "a")};
  std::vector<Saved> saved(1);
  ASSERT_TRUE(store.SaveBatch(batch, absl::MakeSpan(saved)).ok());
  const auto receipts = store.FindReceipts("study", {"a", "b"});
  ASSERT_TRUE(receipts.ok());
  EXPECT_EQ(receipts->size(), 2u);
  EXPECT_THAT(*receipts, Each(Eq(std::nullopt)));
  EXPECT_EQ(*store.LastSequence(), 0);
  const auto page = store.Read(0, 10, 1000);
  ASSERT_TRUE(page.ok());
  EXPECT_TRUE(page->last);
  EXPECT_TRUE(page->submissions.empty());
  EXPECT_TRUE(store.Check().ok());
}

// Returns the number of failures for 1,000 evenly spread random numbers.
int Failures(double fail_rate) {
  int draw = 0;
  DiscardStore store({.fail_rate = fail_rate, .uniform = [&draw] {
                        return (draw++ / 2 + 0.5) / 1000;
                      }});
  const std::vector<Submission> batch(1);
  std::vector<Saved> saved(1);
  int failures = 0;
  for (int i = 0; i < 1000; ++i) {
    const absl::Status status = store.SaveBatch(batch, absl::MakeSpan(saved));
    if (status.ok()) continue;
    EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
    ++failures;
  }
  return failures;
}

TEST(DiscardStore, FailsAtItsRate) {
  EXPECT_EQ(Failures(0), 0);
  EXPECT_EQ(Failures(0.25), 250);
  EXPECT_EQ(Failures(1), 1000);
}

TEST(DiscardStore, CountsOperationsInFlightAndTheirPeak) {
  constexpr int kThreads = 4;
  // No operation ends before all operations have begun.
  absl::Barrier all_in(kThreads);
  std::atomic<bool> last{false};
  DiscardStore store({.sleep = [&](absl::Duration) {
    if (!last && all_in.Block()) last = true;
  }});
  const std::vector<Submission> batch(1);
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&] {
      std::vector<Saved> saved(1);
      EXPECT_TRUE(store.SaveBatch(batch, absl::MakeSpan(saved)).ok());
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(store.in_flight(), 0);
  EXPECT_EQ(store.peak_in_flight(), kThreads);
}

TEST(DiscardStore, DrawsAtRandomAndSleepsByDefault) {
  DiscardStore store({.delay = absl::Microseconds(1),
                      .jitter = Jitter::kPareto,
                      .fail_rate = 0.5});
  const std::vector<Submission> batch(1);
  std::vector<Saved> saved(1);
  int failures = 0;
  for (int i = 0; i < 200; ++i) {
    failures += store.SaveBatch(batch, absl::MakeSpan(saved)).ok() ? 0 : 1;
  }
  // A correct store fails these checks once in more than 10^15 runs.
  EXPECT_GT(failures, 40);
  EXPECT_LT(failures, 160);
}

}  // namespace
}  // namespace sluice
