// Tells a queue that stands from one that only takes up a burst: controlled
// delay (K. Nichols, V. Jacobson, CoDel; RFC 8289).
//
// A burst is worked off, and what is taken soon waits hardly at all again. A
// standing queue makes everybody wait and serves nobody better. From RFC 8289
// come target, interval and the test: the queue stands once all that is taken
// for a whole interval has waited longer than the target. From folly's Codel
// comes that newcomers are then turned away, instead of dropping what is
// queued. Ours is how it ends: when the queue is empty, or after an interval in
// which nobody was turned away, since under a lasting overload the queue is
// short only because somebody is.

#ifndef SLUICE_POOL_STANDING_QUEUE_H_
#define SLUICE_POOL_STANDING_QUEUE_H_

#include <chrono>

#include "base/time.h"

namespace sluice {

class StandingQueue {
 public:
  static constexpr Duration kInterval = std::chrono::milliseconds(250);

  // A task was taken after it had waited so long.
  void Taken(Duration waited, Duration target, TimePoint now) {
    if (waited > target) {
      if (above_since_ == kForever) above_since_ = now;
      if (now - above_since_ >= kInterval) stands_ = true;
      return;
    }
    above_since_ = kForever;
    if (now - turned_away_at_ >= kInterval) stands_ = false;
  }

  // An arrival was not let in, or still waits for room.
  void TurnedAway(TimePoint now) { turned_away_at_ = now; }

  // Nothing is queued any more.
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
