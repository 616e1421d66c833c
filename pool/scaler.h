// Decides how many workers a pool should have: as many as its load needs, and
// no more than its store rewards. A deterministic state machine without thread,
// clock, lock or I/O: it is told what happened and when, and returns a number.
//
// The scaler looks at intervals. The load needs more workers when all of them
// are busy, and tasks wait for longer than a batch takes or find the queue
// full. (A wait of one batch does no harm: the next batch gathers meanwhile.)
// The pool then works at its capacity, so that the throughput shows what the
// store can do with this number of workers.
//
// The number changes by trials:
//  - The pool grows by 50 % at a time. If throughput does not rise by at least
//    40 % of the added share, the step is undone. The failed number is
//    remembered, and tried again after a time that doubles.
//  - Now and then fewer workers are tried, by the same rule: the store may have
//    become slower, or a measurement may have been luck.
//  - The pool also shrinks when workers have been idle for a while.
//
// From Netflix's concurrency-limits (Gradient2): the limit moves only while it
// is what limits. From brpc's auto concurrency limiter: throughput at
// saturation decides, and fewer are tried now and then. From TCP and CoDel: the
// doubling wait and the 5 ms. Neither limiter's gradient of latency is used:
// with batches, a longer service can be a larger batch.

#ifndef SLUICE_POOL_SCALER_H_
#define SLUICE_POOL_SCALER_H_

#include <chrono>
#include <cstddef>
#include <limits>
#include <optional>

#include "base/time.h"

namespace sluice {

// Number of workers, both ends included. `min` is at least 1, and at most
// `max`.
struct WorkerRange {
  std::size_t min = 1;
  std::size_t max = 1;

  friend bool operator==(const WorkerRange&, const WorkerRange&) = default;
};

// Not thread-safe.
class Scaler {
 public:
  // The shortest interval. An interval lasts longer until it has enough batches
  // to tell something.
  static constexpr Duration kLookMin = std::chrono::milliseconds(500);
  static constexpr Duration kLookMax = std::chrono::seconds(2);
  // A wait up to this is never too long.
  static constexpr Duration kWaitMin = std::chrono::milliseconds(5);
  // Workers that were not needed for this long end.
  static constexpr Duration kIdleMax = std::chrono::seconds(10);
  // Time until a number that did not pay is tried again.
  static constexpr Duration kRetryMin = std::chrono::seconds(4);
  static constexpr Duration kRetryMax = std::chrono::minutes(5);

  explicit Scaler(WorkerRange range) : range_(range), workers_(range.min) {}

  // A worker has taken a batch, whose first task was queued for `waited`.
  // `full` says that the queue had no more room.
  void Begin(Duration waited, bool full, TimePoint now);
  // A worker's batch has ended after `took`; `tasks` of it are done.
  void End(Duration took, std::size_t tasks, TimePoint now);
  // A busy worker does not count any more; it has no End.
  void Lose(TimePoint now);
  // Sets the range. The number of workers is within the range at once, and the
  // results of trials are forgotten. Setting an equal range changes nothing.
  void SetRange(WorkerRange range, TimePoint now);

  // Decides, if a decision is due.
  void Look(TimePoint now);
  // When a decision is due; kForever while there is neither work nor a worker
  // above min.
  TimePoint next_look() const { return next_look_; }

  // How many workers there should be.
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
  // The throughput that an interval with a number of workers has shown.
  struct Measured {
    std::size_t workers;
    double tasks_per_second;
  };

  void StartInterval(TimePoint now, Duration settle = {});
  void CountBusy(TimePoint now);
  double BusyMean(TimePoint now) const;
  bool AllBusy(TimePoint now) const;
  // True if the interval has lasted for long enough to tell something.
  bool Telling(TimePoint now) const;
  // True if there is more work than this number of workers can do.
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
  // A change must show first: the interval begins anew after this time.
  bool settling_ = false;

  // State before the current trial.
  std::optional<Measured> before_trial_;
  // The number of workers from which on a trial did not pay.
  std::size_t refuted_ = kNone;
  Duration retry_ = kRetryMin;
  TimePoint retry_at_{};
  // The next trial is one with fewer workers.
  bool fewer_next_ = false;
  // The last trial that paid was one with fewer workers.
  bool kept_fewer_ = false;

  // Since when fewer workers would do, and the most that were needed since.
  std::optional<TimePoint> idle_since_;
  std::size_t idle_need_ = 0;
};

}  // namespace sluice

#endif  // SLUICE_POOL_SCALER_H_
