// Estimates how many refused callers will retry, to compute their retry delays.
//
// Each refusal gives its caller a place in a virtual line, behind the callers
// refused before. The line moves at the rate of the pool. Delays therefore rise
// while refusals go on and fall when they end, and retries are spread over the
// time that the pool needs for them.

#ifndef SLUICE_POOL_RETURNING_CALLERS_H_
#define SLUICE_POOL_RETURNING_CALLERS_H_

#include <algorithm>
#include <chrono>

#include "base/time.h"

namespace sluice {

class ReturningCallers {
 public:
  // The longest retry delay. The line is never longer than the work of the pool
  // in this time.
  static constexpr Duration kLongest = std::chrono::seconds(32);

  // Records that a caller was refused while the pool processes `per_second`
  // tasks per second.
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
