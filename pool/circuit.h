// Decides when the store behind a pool is tried again after a failure: a
// circuit breaker (M. Nygard, Release It!, 2007) with exponential backoff and
// jitter.
//
// Each failure delays the next try, and each further failure doubles the delay.
// After kOpensAfter failures in a row the circuit is open: callers who wait for
// a result are refused at once. A successful try closes the circuit.

#ifndef SLUICE_POOL_CIRCUIT_H_
#define SLUICE_POOL_CIRCUIT_H_

#include <algorithm>
#include <chrono>

#include "base/time.h"

namespace sluice {

class Circuit {
 public:
  // The circuit opens after this many failures in a row.
  static constexpr int kOpensAfter = 3;
  static constexpr Duration kDelayMin = std::chrono::milliseconds(100);
  // Longest delay between tries. With jitter, a store that is available again
  // is noticed within 6 s, however long it was unavailable.
  static constexpr Duration kDelayMax = std::chrono::seconds(5);

  void Succeed() { failures_ = 0; }

  // Records a failure. The next try is due 0.8 to 1.2 times the delay later;
  // `uniform`, in [0, 1), selects the factor.
  void Fail(TimePoint now, double uniform) {
    // Number of doublings that is enough to reach the longest delay.
    constexpr int kDoublingsMax = 10;
    const int doublings = std::min(failures_, kDoublingsMax);
    const Duration delay = std::min(kDelayMin * (1 << doublings), kDelayMax);
    delay_ =
        std::chrono::duration_cast<Duration>(delay * (0.8 + 0.4 * uniform));
    retry_at_ = now + delay_;
    failures_ = std::min(failures_ + 1, kOpensAfter + kDoublingsMax);
  }

  // The last try failed.
  bool failing() const { return failures_ > 0; }
  bool open() const { return failures_ >= kOpensAfter; }
  // Time of the next try, and its delay after the failure. Only valid while the
  // circuit is failing.
  TimePoint retry_at() const { return retry_at_; }
  Duration delay() const { return delay_; }

 private:
  int failures_ = 0;
  TimePoint retry_at_{};
  Duration delay_{};
};

}  // namespace sluice

#endif  // SLUICE_POOL_CIRCUIT_H_
