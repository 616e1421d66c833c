// Measures how fast a pool works while it has work: an average over the last
// seconds, in which older work counts exponentially less.

#ifndef SLUICE_POOL_DRAIN_RATE_H_
#define SLUICE_POOL_DRAIN_RATE_H_

#include <cstddef>

#include "base/time.h"

namespace sluice {

class DrainRate {
 public:
  // Work that was done `memory` ago counts 1/e of what it did.
  explicit DrainRate(Duration memory) : memory_(memory) {}

  // The pool has work from now on: the time before does not count.
  void Begin(TimePoint now) { since_ = now; }
  // `count` tasks are done; the time since the last event was spent on them.
  void Record(std::size_t count, TimePoint now);

  // Tasks a second; 0 if none was done yet.
  double per_second() const;

 private:
  Duration memory_;
  TimePoint since_{};
  double tasks_ = 0;
  double seconds_ = 0;
};

}  // namespace sluice

#endif  // SLUICE_POOL_DRAIN_RATE_H_
