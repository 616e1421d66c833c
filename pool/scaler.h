// Decides how many workers a pool should have: as many as its load needs, and
// no more than its store rewards. A deterministic state machine without thread,
// clock, lock or I/O: its inputs are events with their times, its output is a
// number.
//
// The scaler looks at intervals. The load needs more workers if all workers are
// busy, and tasks wait for longer than a batch takes or find the queue full. (A
// wait of one batch does no harm: the next batch gathers meanwhile.) The pool
// then works at its capacity, so that the throughput shows what the store can
// do with this number of workers.
//
// The number changes by trials:
//  - The pool grows by 50 % at a time. If throughput does not rise by at least
//    40 % of the added share, the step is undone. The failed number is
//    remembered, and tried again after a time that doubles.
//  - Now and then fewer workers are tried, by the same rule: the store may have
//    become slower, or a measurement may have been too high by chance.
//  - The pool also shrinks when workers have been idle for a while.
//
// Sources. Netflix's concurrency-limits (Gradient2): the limit changes only
// while it is reached. brpc's auto concurrency limiter: throughput at
// saturation decides, and a lower limit is tried now and then. TCP and CoDel:
// the doubling delay and the 5 ms. The latency gradient of the two limiters is
// not used: with batches, a longer service time can mean a larger batch.

#ifndef SLUICE_POOL_SCALER_H_
#define SLUICE_POOL_SCALER_H_

#include <chrono>
#include <cstddef>
#include <limits>
#include <optional>

#include "base/time.h"

namespace sluice {

// Limits of the number of workers, both inclusive. 1 <= `min` <= `max`.
struct WorkerRange {
  std::size_t min = 1;
  std::size_t max = 1;

  friend bool operator==(const WorkerRange&, const WorkerRange&) = default;
};

// Not thread-safe.
class Scaler {
 public:
  // The shortest interval. An interval is extended until it has enough batches
  // for a measurement.
  static constexpr Duration kLookMin = std::chrono::milliseconds(500);
  static constexpr Duration kLookMax = std::chrono::seconds(2);
  // A wait of up to this time never counts as too long.
  static constexpr Duration kWaitMin = std::chrono::milliseconds(5);
  // Workers that were not needed for this time are ended.
  static constexpr Duration kIdleMax = std::chrono::seconds(10);
  // Shortest time until a number of workers that failed its trial is tried
  // again.
  static constexpr Duration kRetryMin = std::chrono::seconds(4);
  static constexpr Duration kRetryMax = std::chrono::minutes(5);

  explicit Scaler(WorkerRange range) : range_(range), workers_(range.min) {}

  // Records that a worker has taken a batch whose first task was queued for
  // `waited`. `full` is true if the queue had no room.
  void Begin(Duration waited, bool full, TimePoint now);
  // Records that a worker's batch has ended after `took`, with `tasks` tasks
  // done.
  void End(Duration took, std::size_t tasks, TimePoint now);
  // Stops counting a busy worker. Do not call End for its batch.
  void Lose(TimePoint now);
  // Sets the range, moves the number of workers into the range at once, and
  // forgets the results of trials. An unchanged range has no effect.
  void SetRange(WorkerRange range, TimePoint now);

  // Changes the number of workers if a decision is due and calls for it.
  void Look(TimePoint now);
  // Time of the next decision; kForever while there is neither work nor a
  // worker above `min`.
  TimePoint next_look() const { return next_look_; }

  // Number of workers that the pool should have.
  std::size_t workers() const { return workers_; }

 private:
  // Sums over an interval.
  struct Interval {
    TimePoint since{};
    double busy_seconds = 0;  // sum over all workers
    std::size_t begun = 0;    // number of batches begun
    std::size_t begun_full = 0;
    double waited_seconds = 0;
    std::size_t ended = 0;
    double took_seconds = 0;
    std::size_t tasks = 0;
  };
  // Throughput that was measured in an interval with this number of workers.
  struct Measured {
    std::size_t workers;
    double tasks_per_second;
  };

  void StartInterval(TimePoint now, Duration settle = {});
  void CountBusy(TimePoint now);
  double BusyMean(TimePoint now) const;
  bool AllBusy(TimePoint now) const;
  // True if the interval is long enough for a measurement.
  bool Telling(TimePoint now) const;
  // True if there is more work than the present workers can do.
  bool Overloaded(TimePoint now) const;
  void Decide(TimePoint now);
  void Judge(const Measured& before, const Measured& after, TimePoint now);
  void Try(const Measured& before, TimePoint now);
  void EndIdle(TimePoint now);
  void Change(std::size_t workers, TimePoint now);
  void Forget();

  static constexpr std::size_t kNone = std::numeric_limits<std::size_t>::max();

  WorkerRange range_;
  std::size_t workers_;
  std::size_t busy_ = 0;
  TimePoint busy_counted_{};
  Interval interval_;
  TimePoint next_look_ = kForever;
  // True while a change takes effect; a new interval begins afterwards.
  bool settling_ = false;

  // State before the current trial.
  std::optional<Measured> before_trial_;
  // The smallest number of workers whose trial failed.
  std::size_t refuted_ = kNone;
  Duration retry_ = kRetryMin;
  TimePoint retry_at_{};
  // True if the next trial uses fewer workers.
  bool fewer_next_ = false;
  // True if the last trial that was kept used fewer workers.
  bool kept_fewer_ = false;

  // Start of the time in which fewer workers would be enough, and the largest
  // number needed since then.
  std::optional<TimePoint> idle_since_;
  std::size_t idle_need_ = 0;
};

}  // namespace sluice

#endif  // SLUICE_POOL_SCALER_H_
