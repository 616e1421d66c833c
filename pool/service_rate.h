// How fast a pool works when all of its workers are busy, and how long a batch
// takes: what a prediction of waits needs.
//
// Averages over about the last second of such time, in which older work counts
// exponentially less.

#ifndef SLUICE_POOL_SERVICE_RATE_H_
#define SLUICE_POOL_SERVICE_RATE_H_

#include <cstddef>

#include "policies/admission_policy.h"

namespace sluice {

class ServiceRate {
 public:
  // A batch of `count` tasks is done after `took`. `backlog`: more is queued
  // than workers have taken.
  void Done(std::size_t count, Duration took, bool backlog, TimePoint now);
  // Nothing is queued any more.
  void Emptied() { backlog_ = false; }

  // Tasks a second with a backlog; 0 while that is not known.
  double per_second() const { return seconds_ > 0 ? tasks_ / seconds_ : 0; }
  // What a batch takes; 0 while that is not known.
  Duration batch() const;

 private:
  // Whether there was a backlog from `since_` until now.
  bool backlog_ = false;
  TimePoint since_{};
  double tasks_ = 0;
  double seconds_ = 0;

  double batches_ = 0;
  double batch_seconds_ = 0;
};

}  // namespace sluice

#endif  // SLUICE_POOL_SERVICE_RATE_H_
