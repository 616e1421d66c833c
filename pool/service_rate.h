// Measures the throughput of a pool with all workers busy, and the time that a
// batch takes, to predict waits. Both are averages whose measurements lose
// weight exponentially, with the number of later batches and with time. While
// nothing is measured, predicted waits therefore fall to zero. Otherwise the
// Gate could refuse callers for ever after one slow batch.

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
  // Records that a batch failed because the store was unavailable. Call Failed
  // instead of Done. Neither the failed batch nor the time until the next batch
  // is measured, because both say nothing about the speed of the pool.
  void Failed() { backlog_ = false; }

  // Measured tasks per second while there is a backlog, and measured time of a
  // batch; 0 if not known.
  double per_second() const { return with_backlog_.per_second(); }
  Duration batch() const;
  // Faded rate and time of a batch, for predictions at `now`. If nothing was
  // measured for a while, the faded rate is higher than the measured rate, and
  // the faded time of a batch is shorter.
  double per_second_at(TimePoint now) const;
  Duration batch_at(TimePoint now) const;

 private:
  // Returns the weight (0 to 1) that a measurement of time `measured` has at
  // `now`.
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
