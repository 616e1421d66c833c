// Bounds the part of a loop's time that long calls get beside short calls.
//
// A loop handles a call with much work in parts, and handles events between the
// parts. That bounds how long other calls wait for one part. But a client that
// sends one long call after the other would still take most of the loop's time,
// and on a machine with few cores the time of the workers too.
// So, while short calls are made, long calls get one part in kParts of the
// time. A loop without short calls works on long calls without a pause.
//
// Long calls work in turns. A turn ends after kTurn. While short calls are
// made, a pause follows that is kParts - 1 times as long as the turn was.
//
// Deterministic. Not thread-safe: belongs to a loop.

#ifndef SLUICE_SERVER_TRANSPORT_LONG_CALL_SHARE_H_
#define SLUICE_SERVER_TRANSPORT_LONG_CALL_SHARE_H_

#include <chrono>

#include "base/time.h"

namespace sluice {

class LongCallShare {
 public:
  static constexpr int kParts = 10;
  // The share is bounded for this long after each short call.
  static constexpr Duration kAfterShortCall = std::chrono::milliseconds(100);
  // Long enough that looking for events between the turns costs little, and
  // short enough for the calls that wait.
  static constexpr Duration kTurn = std::chrono::microseconds(400);

  // Records that a short call has arrived.
  void ShortCallAt(TimePoint now) { bounded_until_ = now + kAfterShortCall; }

  // Returns when the next turn may begin. A time that is not after `now` means
  // at once.
  TimePoint NextAt(TimePoint now) const {
    return now < bounded_until_ ? next_ : now;
  }

  // Records a turn of long calls.
  void HadTurn(TimePoint from, TimePoint to) {
    next_ = to + (kParts - 1) * (to - from);
  }

 private:
  TimePoint bounded_until_{};
  TimePoint next_{};
};

}  // namespace sluice

#endif  // SLUICE_SERVER_TRANSPORT_LONG_CALL_SHARE_H_
