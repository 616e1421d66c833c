#include "base/clock.h"

#include <chrono>

#include "absl/time/time.h"

namespace sluice {
namespace {

class MonotonicClock final : public Clock {
 public:
  TimePoint Now() override { return std::chrono::steady_clock::now(); }

  void Wait(absl::CondVar* condition, absl::Mutex* mutex,
            TimePoint until) override {
    if (until == kForever) {
      condition->Wait(mutex);
      return;
    }
    const TimePoint now = Now();
    if (now < until) {  // avoids overflow for a time far in the past
      // Monotonic: see monotonic_waits.cc.
      condition->WaitWithTimeout(mutex, absl::FromChrono(until - now));
    }
  }
};

}  // namespace

Clock* SystemClock() {
  static MonotonicClock* const clock = new MonotonicClock;
  return clock;
}

}  // namespace sluice
