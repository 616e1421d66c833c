// Detects a standing queue, as opposed to one that absorbs a burst: controlled
// delay (K. Nichols, V. Jacobson, CoDel; RFC 8289).
//
// A burst is worked off, and waits become short again. A standing queue makes
// every task wait and helps none.
//  - The target, the interval and the test are those of RFC 8289: a queue is
//    standing once every task that was taken during a whole interval had waited
//    longer than the target.
//  - As in folly's Codel, arrivals are then turned away. Queued tasks are not
//    dropped.
//  - A standing queue ends when the queue is empty, or after an interval in
//    which no arrival was turned away. The end of a standing queue differs from
//    RFC 8289 and folly: under a lasting overload the queue is short only
//    because arrivals are turned away.

#ifndef SLUICE_POOL_STANDING_QUEUE_H_
#define SLUICE_POOL_STANDING_QUEUE_H_

#include <chrono>

#include "base/time.h"

namespace sluice {

class StandingQueue {
 public:
  static constexpr Duration kInterval = std::chrono::milliseconds(250);

  // Records that a task was taken after it had waited for `waited`.
  void Taken(Duration waited, Duration target, TimePoint now) {
    if (waited > target) {
      if (above_since_ == kForever) above_since_ = now;
      if (now - above_since_ >= kInterval) stands_ = true;
      return;
    }
    above_since_ = kForever;
    if (now - turned_away_at_ >= kInterval) stands_ = false;
  }

  // Records that an arrival was not admitted, or is still parked.
  void TurnedAway(TimePoint now) { turned_away_at_ = now; }

  // Records that the queue is empty.
  void Emptied() {
    above_since_ = kForever;
    stands_ = false;
  }

  bool stands() const { return stands_; }

 private:
  bool stands_ = false;
  TimePoint above_since_ = kForever;
  TimePoint turned_away_at_{};
};

}  // namespace sluice

#endif  // SLUICE_POOL_STANDING_QUEUE_H_
