// Estimates how many refused callers will retry, for the delays that they are
// told.
//
// Each refusal gives its caller a place behind the callers refused before, as
// in a line that moves at the rate of the pool. So delays rise while refusals
// go on, fall when they end, and spread the retries over the time that their
// work will take.

#ifndef SLUICE_POOL_RETURNING_CALLERS_H_
#define SLUICE_POOL_RETURNING_CALLERS_H_

#include <algorithm>
#include <chrono>

#include "base/time.h"

namespace sluice {

class ReturningCallers {
 public:
  // The longest delay that a caller is told. The line is no longer than what
  // the pool works in this time.
  static constexpr Duration kLongest = std::chrono::seconds(32);

  // A caller was refused while the pool works `per_second` tasks a second.
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
