// How many who were refused will come again: what the delays that they are told
// are made of.
//
// Each refusal gives its caller a place behind those refused before, as if they
// stood in a line that moves at the rate of the pool. So the delays rise while
// refusals go on, fall when they end, and spread the callers over the time that
// the work they bring will take.

#ifndef SLUICE_POOL_RETURNING_CALLERS_H_
#define SLUICE_POOL_RETURNING_CALLERS_H_

#include <algorithm>
#include <chrono>

#include "base/time.h"

namespace sluice {

class ReturningCallers {
 public:
  // Nobody is told to come back later than this, so that the line is not longer
  // than what is done in that time.
  static constexpr Duration kLongest = std::chrono::seconds(32);

  // One more was refused while `per_second` are worked.
  void Add(double per_second, TimePoint now) {
    using Seconds = std::chrono::duration<double>;
    const double moved =
        per_second * std::max(Seconds(now - since_).count(), 0.0);
    count_ = std::max(count_ - moved, 0.0) + 1;
    count_ = std::min(count_, per_second * Seconds(kLongest).count());
    since_ = std::max(now, since_);
  }

  double count() const { return count_; }

 private:
  double count_ = 0;
  TimePoint since_{};
};

}  // namespace sluice

#endif  // SLUICE_POOL_RETURNING_CALLERS_H_
