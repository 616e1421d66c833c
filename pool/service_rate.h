// Measures how fast a pool works with all workers busy, and how long a batch
// takes, to predict waits. Both are averages in which older work counts
// exponentially less: by the batches since, and by the time since. Predictions
// therefore return to zero while nothing is measured, so that one slow batch
// does not turn callers away for good.

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
  // A batch failed because the store was unavailable. It shows nothing of the
  // speed of the pool, and neither does the time until the next batch.
  void Failed() { backlog_ = false; }

  // Tasks a second with a backlog, and time that a batch takes, as they were
  // measured last; 0 if not known.
  double per_second() const { return with_backlog_.per_second(); }
  Duration batch() const;
  // The values to predict with at `now`: if nothing was measured for a while,
  // the rate is higher, and the time that a batch takes shorter.
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
