#include "pool/scaler.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <deque>
#include <functional>
#include <random>
#include <set>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace sluice {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

Duration FromSeconds(double count) {
  return std::chrono::duration_cast<Duration>(
      std::chrono::duration<double>(count));
}

// Model of a store. Returns the seconds that a batch of `tasks` tasks takes
// while `busy` workers, including the worker of the batch, use the store.
using Store = std::function<double(std::size_t busy, std::size_t tasks)>;

constexpr double kServiceSeconds = 0.02;

// The throughput rises linearly with the number of workers, up to `best`.
Store LinearUpTo(std::size_t best) {
  return [best](std::size_t busy, std::size_t) {
    return kServiceSeconds *
           std::max(1.0, static_cast<double>(busy) / static_cast<double>(best));
  };
}

// The store processes one batch at a time.
Store Serialized() { return LinearUpTo(1); }

// Beyond `best`, each additional worker slows the store down for all.
Store SlowerBeyond(std::size_t best) {
  return [best](std::size_t busy, std::size_t) {
    const double over = static_cast<double>(busy) / static_cast<double>(best);
    return kServiceSeconds * std::max(1.0, over * over);
  };
}

Store WithNoise(Store store, unsigned seed) {
  return [store = std::move(store), random = std::mt19937(seed)](
             std::size_t busy, std::size_t tasks) mutable {
    return store(busy, tasks) * std::exponential_distribution<>()(random);
  };
}

// A queue with workers in virtual time. A Scaler decides the number of workers.
class Simulation {
 public:
  struct Options {
    WorkerRange range = {.min = 1, .max = 16};
    std::size_t batch_max = 1;
    std::size_t capacity = 1000;
  };

  Simulation(const Options& options, Store store)
      : options_(options), store_(std::move(store)), scaler_(options.range) {}

  // Lets tasks arrive at a rate for `duration`. Tasks that find the queue full
  // are refused.
  void Run(double per_second, Duration duration) {
    const TimePoint end = now_ + duration;
    TimePoint arrival = NextArrival(per_second);
    for (;;) {
      const TimePoint completion = ends_.empty() ? kForever : ends_.begin()->at;
      const TimePoint next =
          std::min({arrival, completion, scaler_.next_look()});
      if (next > end) break;
      now_ = next;
      if (next == completion) {
        EndBatch();
      } else if (next == arrival) {
        if (queue_.size() < options_.capacity) queue_.push_back(now_);
        arrival = NextArrival(per_second);
      } else {
        ++looks_;
        scaler_.Look(now_);
      }
      Notice();
      while (!queue_.empty() && ends_.size() < scaler_.workers()) BeginBatch();
    }
    now_ = end;
  }

  Scaler& scaler() { return scaler_; }
  std::size_t workers() const { return scaler_.workers(); }
  void set_store(Store store) { store_ = std::move(store); }

  // Restarts the measurements below.
  void Reset() {
    changes_ = 0;
    most_ = workers();
    worker_seconds_ = 0;
    done_ = 0;
    looks_ = 0;
    since_ = now_;
    noticed_ = now_;
  }
  int changes() const { return changes_; }
  std::size_t most() const { return most_; }
  int looks() const { return looks_; }
  double MeanWorkers() const { return worker_seconds_ / SecondsSinceReset(); }
  double DonePerSecond() const {
    return static_cast<double>(done_) / SecondsSinceReset();
  }

 private:
  struct Batch {
    TimePoint at;  // time when the batch ends
    TimePoint begun;
    std::size_t tasks;
    bool operator<(const Batch& other) const { return at < other.at; }
  };

  double SecondsSinceReset() const {
    return std::chrono::duration<double>(now_ - since_).count();
  }

  TimePoint NextArrival(double per_second) const {
    return per_second > 0 ? now_ + FromSeconds(1 / per_second) : kForever;
  }

  void BeginBatch() {
    const bool full = queue_.size() == options_.capacity;
    const TimePoint first = queue_.front();
    const std::size_t tasks = std::min(queue_.size(), options_.batch_max);
    queue_.erase(queue_.begin(),
                 queue_.begin() + static_cast<std::ptrdiff_t>(tasks));
    scaler_.Begin(now_ - first, full, now_);
    const double service = store_(ends_.size() + 1, tasks);
    ends_.insert({now_ + FromSeconds(service), now_, tasks});
  }

  void EndBatch() {
    const Batch batch = *ends_.begin();
    ends_.erase(ends_.begin());
    done_ += batch.tasks;
    scaler_.End(now_ - batch.begun, batch.tasks, now_);
  }

  void Notice() {
    worker_seconds_ += static_cast<double>(known_workers_) *
                       std::chrono::duration<double>(now_ - noticed_).count();
    noticed_ = now_;
    if (workers() == known_workers_) return;
    ++changes_;
    known_workers_ = workers();
    most_ = std::max(most_, workers());
    EXPECT_GE(workers(), options_.range.min);
    EXPECT_LE(workers(), options_.range.max);
  }

  const Options options_;
  Store store_;
  Scaler scaler_;
  TimePoint now_{std::chrono::hours(1)};
  std::deque<TimePoint> queue_;
  std::multiset<Batch> ends_;

  std::size_t known_workers_ = options_.range.min;
  TimePoint since_ = now_;
  TimePoint noticed_ = now_;
  int changes_ = 0;
  std::size_t most_ = options_.range.min;
  double worker_seconds_ = 0;
  std::size_t done_ = 0;
  int looks_ = 0;
};

// Tasks per second of one worker.
constexpr double kOne = 1 / kServiceSeconds;
// A rate that no number of workers can serve.
constexpr double kFlood = 20 * kOne;

// Maximum number of changes in ten minutes of overload, after the best number
// was found. Each trial changes the number twice. The pauses between trials
// double from 4 s to 5 min.
constexpr int kChangesInTenMinutes = 2 * 8;
// The same limit for a store with noise, where a trial is sometimes kept by
// chance and undone later.
constexpr int kChangesInTenMinutesOfNoise = 2 * 12;

TEST(Scaler, StartsWithTheLeast) {
  EXPECT_EQ(Scaler({.min = 3, .max = 8}).workers(), 3u);
}

TEST(Scaler, TakesAllThatTheStoreRewards) {
  Simulation pool({}, LinearUpTo(100));
  pool.Run(kFlood, seconds(20));
  EXPECT_EQ(pool.workers(), 16u);
  pool.Reset();
  pool.Run(kFlood, minutes(10));
  EXPECT_GT(pool.MeanWorkers(), 15.5);
  EXPECT_LE(pool.changes(), kChangesInTenMinutes);
}

TEST(Scaler, FindsHowManyTheStoreRewards) {
  for (const std::size_t best : {2u, 3u, 4u, 6u, 8u, 10u}) {
    SCOPED_TRACE(best);
    Simulation pool({}, LinearUpTo(best));
    pool.Run(kFlood, seconds(30));
    pool.Reset();
    pool.Run(kFlood, minutes(10));
    EXPECT_LE(pool.changes(), kChangesInTenMinutes);
    // The number may be off by one step: a step up is kept if it gains at least
    // 0.4 of the added share.
    EXPECT_GT(pool.DonePerSecond(), 0.8 * kOne * static_cast<double>(best));
    EXPECT_LT(pool.MeanWorkers(), 1.6 * static_cast<double>(best));
  }
}

TEST(Scaler, LeavesASerializedStoreAlone) {
  for (const std::size_t batch_max : {1u, 256u}) {
    SCOPED_TRACE(batch_max);
    Simulation pool({.batch_max = batch_max}, Serialized());
    pool.Run(2 * kOne * static_cast<double>(batch_max), minutes(10));
    EXPECT_LT(pool.MeanWorkers(), 1.1);
    EXPECT_EQ(pool.most(), 2u);
    EXPECT_LE(pool.changes(), kChangesInTenMinutes);
  }
}

TEST(Scaler, StepsBackWhereMoreMakeTheStoreSlower) {
  for (const std::size_t best : {1u, 2u, 4u, 7u}) {
    SCOPED_TRACE(best);
    Simulation pool({}, SlowerBeyond(best));
    pool.Run(kFlood, seconds(30));
    pool.Reset();
    pool.Run(kFlood, minutes(10));
    EXPECT_LE(pool.changes(), kChangesInTenMinutes);
    EXPECT_GT(pool.DonePerSecond(), 0.65 * kOne * static_cast<double>(best));
    EXPECT_LT(pool.MeanWorkers(), 1.3 * static_cast<double>(best));
  }
}

TEST(Scaler, FollowsAStoreThatBecomesSlowerAndBetterAgain) {
  Simulation pool({}, LinearUpTo(100));
  pool.Run(kFlood, minutes(1));
  EXPECT_EQ(pool.workers(), 16u);
  pool.set_store(SlowerBeyond(3));
  pool.Run(kFlood, minutes(10));
  EXPECT_LE(pool.workers(), 5u);
  pool.set_store(LinearUpTo(100));
  pool.Run(kFlood, minutes(10));
  EXPECT_GE(pool.workers(), 10u);
}

TEST(Scaler, FollowsTheLoadUpAndDown) {
  Simulation pool({}, LinearUpTo(100));
  pool.Run(0.5 * kOne, minutes(1));
  EXPECT_EQ(pool.changes(), 0) << "one is enough";

  for (double load = 1; load <= 6; load += 0.5) {
    pool.Run(load * kOne, seconds(5));
  }
  pool.Run(6.5 * kOne, seconds(30));
  pool.Reset();
  pool.Run(6.5 * kOne, minutes(10));
  EXPECT_GE(pool.workers(), 7u);
  EXPECT_LE(pool.workers(), 12u);
  EXPECT_LE(pool.changes(), 1);
  EXPECT_NEAR(pool.DonePerSecond(), 6.5 * kOne, 1);

  for (double load = 6; load > 0; load -= 0.5) {
    pool.Run(load * kOne, seconds(5));
  }
  pool.Run(0.1 * kOne, seconds(30));
  EXPECT_EQ(pool.workers(), 1u);
  EXPECT_LE(pool.changes(), 8);
}

TEST(Scaler, ABatchThatGathersMeanwhileIsNoReasonForMore) {
  Simulation pool({.range = {.min = 2, .max = 16}, .batch_max = 256},
                  LinearUpTo(100));
  pool.Run(100 * kOne, minutes(5));
  EXPECT_EQ(pool.changes(), 0);
  EXPECT_NEAR(pool.DonePerSecond(), 100 * kOne, 1);
}

TEST(Scaler, AFullQueueIsAReasonForMoreHoweverShortTheWait) {
  // One batch takes all queued tasks. Without noise, all batches would end at
  // the same moment, and only the first worker would find tasks.
  Simulation pool({.batch_max = 256, .capacity = 8},
                  WithNoise(LinearUpTo(100), 1));
  pool.Run(1000 * kOne, seconds(30));
  EXPECT_EQ(pool.workers(), 16u);
}

TEST(Scaler, ALongWaitIsNoReasonForMoreWhileWorkersAreIdle) {
  // The circuit admits one batch at a time, as after a failure of the store.
  Scaler scaler({.min = 2, .max = 8});
  TimePoint now(std::chrono::hours(1));
  for (int i = 0; i < 600; ++i) {
    scaler.Begin(seconds(5), true, now);
    now += milliseconds(20);
    scaler.End(milliseconds(20), 1, now);
    scaler.Look(now);
    ASSERT_EQ(scaler.workers(), 2u);
  }
}

TEST(Scaler, IsNotMisledByNoise) {
  for (const unsigned seed : {1u, 2u, 3u, 4u}) {
    SCOPED_TRACE(seed);
    Simulation serial({.range = {.min = 2, .max = 16}},
                      WithNoise(Serialized(), seed));
    serial.Run(kFlood, minutes(10));
    EXPECT_LT(serial.MeanWorkers(), 3.5);
    EXPECT_LE(serial.changes(), kChangesInTenMinutesOfNoise);

    Simulation parallel({.range = {.min = 2, .max = 16}},
                        WithNoise(LinearUpTo(8), seed));
    parallel.Run(kFlood, seconds(60));
    parallel.Reset();
    parallel.Run(kFlood, minutes(10));
    EXPECT_GT(parallel.DonePerSecond(), 0.8 * 8 * kOne);
    EXPECT_LE(parallel.changes(), kChangesInTenMinutesOfNoise);

    Simulation steady({}, WithNoise(LinearUpTo(100), seed));
    steady.Run(5 * kOne, seconds(60));
    steady.Reset();
    steady.Run(5 * kOne, minutes(10));
    EXPECT_LE(steady.changes(), 6);
    EXPECT_GT(steady.DonePerSecond(), 4.9 * kOne);
  }
}

TEST(Scaler, SleepsWhileThereIsNothingToDo) {
  Simulation pool({}, LinearUpTo(100));
  EXPECT_EQ(pool.scaler().next_look(), kForever);
  pool.Run(kFlood, seconds(20));
  pool.Run(0, minutes(1));
  EXPECT_EQ(pool.workers(), 1u);
  EXPECT_EQ(pool.scaler().next_look(), kForever);
  pool.Reset();
  pool.Run(kFlood, seconds(10));
  EXPECT_GT(pool.looks(), 0) << "the scaler wakes up";
  EXPECT_LE(pool.looks(), 40) << "not more often than needed";
}

TEST(Scaler, NeverLooksWhereTheNumberIsFixed) {
  Simulation pool({.range = {.min = 4, .max = 4}}, LinearUpTo(100));
  pool.Run(kFlood, minutes(1));
  EXPECT_EQ(pool.looks(), 0);
  EXPECT_EQ(pool.workers(), 4u);
}

TEST(Scaler, ANewRangeHoldsAtOnce) {
  Scaler scaler({.min = 4, .max = 8});
  const TimePoint now(std::chrono::hours(1));
  scaler.SetRange({.min = 6, .max = 9}, now);
  EXPECT_EQ(scaler.workers(), 6u);
  EXPECT_EQ(scaler.next_look(), kForever);
  scaler.SetRange({.min = 1, .max = 3}, now);
  EXPECT_EQ(scaler.workers(), 3u);
  EXPECT_NE(scaler.next_look(), kForever) << "3 workers may be too many";
  scaler.SetRange({.min = 2, .max = 2}, now);
  EXPECT_EQ(scaler.workers(), 2u);
  EXPECT_EQ(scaler.next_look(), kForever);
}

TEST(Scaler, WhoIsLostIsNotBusy) {
  Scaler scaler({.min = 1, .max = 4});
  TimePoint now(std::chrono::hours(1));
  scaler.Begin(seconds(0), false, now);
  scaler.Lose(now);
  for (int i = 0; i < 10; ++i) {
    now += seconds(1);
    scaler.Look(now);
  }
  EXPECT_EQ(scaler.next_look(), kForever);
}

}  // namespace
}  // namespace sluice
