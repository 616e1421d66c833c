// A monotonic clock that tests can replace.

#ifndef SLUICE_BASE_CLOCK_H_
#define SLUICE_BASE_CLOCK_H_

#include "absl/synchronization/mutex.h"
#include "base/time.h"

namespace sluice {

// Thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;

  virtual TimePoint Now() = 0;

  // Waits until `condition` is signalled or the time is `until`. May return
  // early. `mutex` must be held.
  virtual void Wait(absl::CondVar* condition, absl::Mutex* mutex,
                    TimePoint until) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) = 0;
};

// Returns the machine's clock, which is never destroyed.
Clock* SystemClock();

}  // namespace sluice

#endif  // SLUICE_BASE_CLOCK_H_
