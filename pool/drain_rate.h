// Measures how fast a pool works while it has work, as an average over the last
// seconds. Older work counts exponentially less.

#ifndef SLUICE_POOL_DRAIN_RATE_H_
#define SLUICE_POOL_DRAIN_RATE_H_

#include <cstddef>

#include "base/time.h"

namespace sluice {

class DrainRate {
 public:
  // Work that was done `memory` ago is weighted by 1/e.
  explicit DrainRate(Duration memory) : memory_(memory) {}

  // Starts the measurement: the pool has work from now on, and the time before
  // does not count.
  void Begin(TimePoint now) { since_ = now; }
  // Records that `count` tasks are done, and that the time since the last event
  // was spent on them.
  void Record(std::size_t count, TimePoint now);
  // Multiplies the weight of all measurements so far by `kept` (0 to 1).
  void Fade(double kept) {
    tasks_ *= kept;
    seconds_ *= kept;
  }

  // Tasks per second; 0 if no task is done yet.
  double per_second() const;

 private:
  Duration memory_;
  TimePoint since_{};
  double tasks_ = 0;
  double seconds_ = 0;
};

}  // namespace sluice

#endif  // SLUICE_POOL_DRAIN_RATE_H_
