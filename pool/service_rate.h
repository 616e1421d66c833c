// Measures the throughput of a pool with all workers busy, and the time that a
// batch takes, to predict waits. Both are averages in which older work counts
// exponentially less.

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

  // Tasks per second while there is a backlog; 0 if not known.
  double per_second() const { return with_backlog_.per_second(); }
  // Time that a batch takes; 0 if not known.
  Duration batch() const;

 private:
  bool backlog_ = false;
  DrainRate with_backlog_{std::chrono::seconds(1)};

  double batches_ = 0;
  double batch_seconds_ = 0;
};

}  // namespace sluice

#endif  // SLUICE_POOL_SERVICE_RATE_H_
