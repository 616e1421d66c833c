// A clock whose time is what the test says.

#ifndef SLUICE_TESTS_FAKES_FAKE_CLOCK_H_
#define SLUICE_TESTS_FAKES_FAKE_CLOCK_H_

#include <chrono>
#include <cstddef>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "base/clock.h"

namespace sluice {

// Thread-safe. No wake-up is lost: whoever waits either sees the new time
// before it falls asleep, or is woken by Advance.
class FakeClock final : public Clock {
 public:
  static constexpr TimePoint kStart{std::chrono::hours(1)};

  TimePoint Now() override;
  // Returns at once where `until` has come.
  void Wait(absl::CondVar* condition, absl::Mutex* mutex,
            TimePoint until) override ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);

  // Moves time on, and wakes those who wait for a moment that has come. The
  // caller holds none of their mutexes, and they outlive the call.
  void Advance(Duration by);

  // Blocks until exactly `count` threads are in Wait. False: that took longer
  // than any working program needs.
  bool AwaitWaiters(std::size_t count);

  // The earliest moment that somebody waits for; kForever where nobody does.
  TimePoint next_due();

 private:
  struct Waiter {
    absl::CondVar* condition;
    absl::Mutex* mutex;
    TimePoint until;
  };

  absl::Mutex mutex_;
  TimePoint now_ ABSL_GUARDED_BY(mutex_) = kStart;
  std::vector<const Waiter*> waiters_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace sluice

#endif  // SLUICE_TESTS_FAKES_FAKE_CLOCK_H_
