// The monotonic clock that a pool lives by, so that tests bring their own.

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

  // Waits on `condition` with `mutex` held, until it is signalled or `until`
  // has come; may also return early.
  virtual void Wait(absl::CondVar* condition, absl::Mutex* mutex,
                    TimePoint until) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) = 0;
};

// The machine's. Never destroyed.
Clock* SystemClock();

}  // namespace sluice

#endif  // SLUICE_BASE_CLOCK_H_
