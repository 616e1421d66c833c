// Measures the throughput of a pool with all workers busy, and the time that a
// batch takes, to predict waits. Both are averages in which older work counts
// exponentially less, by the number of later batches and by the time that has
// passed. While nothing is measured, predicted waits fall to zero. Otherwise
// one slow batch could turn callers away for good.

#ifndef SLUICE_POOL_SERVICE_RATE_H_
#define SLUICE_POOL_SERVICE_RATE_H_

#include <chrono>
#include <cstddef>

#include "base/time.h"
#include "pool/drain_rate.h"

namespace sluice {

class ServiceRate {
 public:
  // Records that a batch of `count` tasks is done after `took`. `backlog` is
  // true if tasks are queued besides the tasks in work.
  void Done(std::size_t count, Duration took, bool backlog, TimePoint now);
  // Records that the queue is empty.
  void Emptied() { backlog_ = false; }
  // Call it instead of Done if the store was unavailable. The failed batch, and
  // the time until the next batch, say nothing about the speed of the pool.
  void Failed() { backlog_ = false; }

  // Tasks per second while there is a backlog, and time that a batch takes, as
  // last measured; 0 if not known.
  double per_second() const { return with_backlog_.per_second(); }
  Duration batch() const;
  // The same values for predictions at `now`. If nothing was measured for a
  // while, the rate is higher and the time of a batch is shorter.
  double per_second_at(TimePoint now) const;
  Duration batch_at(TimePoint now) const;

 private:
  // How much of what was measured at `measured` counts at `now`: 0 to 1.
  double Kept(TimePoint measured, TimePoint now) const;

  bool backlog_ = false;
  DrainRate with_backlog_{std::chrono::seconds(1)};
  TimePoint rate_measured_{};

  double batches_ = 0;
  double batch_seconds_ = 0;
  TimePoint batch_measured_{};
};

}  // namespace sluice

#endif  // SLUICE_POOL_SERVICE_RATE_H_
