// How many workers a pool should have: as many as its load needs, and no more
// than its store rewards. A deterministic state machine without thread, clock,
// lock or I/O: it is told what happened and when, and says a number.
//
// It looks at intervals. The load needs more workers when all are busy and work
// waits for longer than a batch takes (the next batch gathers for as long, and
// is none the worse for it), or finds the queue full. Then the pool works at
// its capacity, so that the tasks done a second tell what the store can do with
// so many workers. The number changes by trial: half as many again, measured
// against before, and kept where the throughput rose by at least 0.4 of the
// workers' share. What did not pay is remembered, and tried again after a time
// that doubles. Now and then it is fewer that are tried, by the same rule,
// since a store may have become slower, or a measurement have been luck. Fewer
// also follow when workers have been idle for a while.
//
// From Netflix's concurrency-limits (Gradient2) it has that the limit moves
// only while it is what limits; from brpc's auto concurrency limiter, that
// throughput at saturation decides, and that less is tried now and then; from
// TCP and CoDel, the doubling wait and the 5 ms. Neither limiter's gradient of
// latency is here: with batches, a longer service can be a larger batch.

#ifndef SLUICE_POOL_SCALER_H_
#define SLUICE_POOL_SCALER_H_

#include <chrono>
#include <cstddef>
#include <limits>
#include <optional>

#include "base/time.h"

namespace sluice {

// Both ends belong to it; at least 1, and min at most max.
struct WorkerRange {
  std::size_t min = 1;
  std::size_t max = 1;

  friend bool operator==(const WorkerRange&, const WorkerRange&) = default;
};

// Not thread-safe.
class Scaler {
 public:
  // An interval lasts this long at least, and longer until it has batches
  // enough to tell something.
  static constexpr Duration kLookMin = std::chrono::milliseconds(500);
  static constexpr Duration kLookMax = std::chrono::seconds(2);
  // Work that waits no longer than this does not wait too long.
  static constexpr Duration kWaitMin = std::chrono::milliseconds(5);
  // Workers end when they were not needed for this long.
  static constexpr Duration kIdleMax = std::chrono::seconds(10);
  // Until what did not pay is tried again.
  static constexpr Duration kRetryMin = std::chrono::seconds(4);
  static constexpr Duration kRetryMax = std::chrono::minutes(5);

  explicit Scaler(WorkerRange range) : range_(range), workers_(range.min) {}

  // A worker has taken a batch, whose first task was queued for `waited`.
  // `full` says that the queue had no more room.
  void Begin(Duration waited, bool full, TimePoint now);
  // A worker's batch has ended after `took`; `tasks` of it are done.
  void End(Duration took, std::size_t tasks, TimePoint now);
  // A worker that is busy is not reckoned with any more; it has no End.
  void Lose(TimePoint now);
  // The number is within the new range at once, and what was learned is
  // forgotten. Nothing changes where the range is the same.
  void SetRange(WorkerRange range, TimePoint now);

  // Decides, where that is due.
  void Look(TimePoint now);
  // kForever while there is neither work nor a worker above min.
  TimePoint next_look() const { return next_look_; }

  // How many there should be.
  std::size_t workers() const { return workers_; }

 private:
  // Sums over an interval.
  struct Interval {
    TimePoint since{};
    double busy_seconds = 0;  // of all workers
    std::size_t begun = 0;    // batches
    std::size_t begun_full = 0;
    double waited_seconds = 0;
    std::size_t ended = 0;
    double took_seconds = 0;
    std::size_t tasks = 0;
  };
  // What an interval with so many workers has shown.
  struct Measured {
    std::size_t workers;
    double tasks_per_second;
  };

  void StartInterval(TimePoint now, Duration settle = {});
  void CountBusy(TimePoint now);
  double BusyMean(TimePoint now) const;
  bool AllBusy(TimePoint now) const;
  // Whether the interval has lasted for long enough to tell something.
  bool Telling(TimePoint now) const;
  // Whether there is more work than so many workers do.
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
  // A change has to show first: the interval begins anew after that.
  bool settling_ = false;

  // What was there before the trial that is going on.
  std::optional<Measured> before_trial_;
  // So many and more did not pay.
  std::size_t refuted_ = kNone;
  Duration retry_ = kRetryMin;
  TimePoint retry_at_{};
  // What is tried then.
  bool fewer_next_ = false;
  // Of the last trial that paid off.
  bool kept_fewer_ = false;

  // Since when fewer would do, and how many at most would have.
  std::optional<TimePoint> idle_since_;
  std::size_t idle_need_ = 0;
};

}  // namespace sluice

#endif  // SLUICE_POOL_SCALER_H_
