// A clock whose time is set by the test.

#ifndef SLUICE_TESTS_FAKES_FAKE_CLOCK_H_
#define SLUICE_TESTS_FAKES_FAKE_CLOCK_H_

#include <chrono>
#include <cstddef>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "base/clock.h"

namespace sluice {

// Thread-safe. No wake-up is lost: a thread in Wait either sees the new time
// before it sleeps, or is woken by Advance.
class FakeClock final : public Clock {
 public:
  static constexpr TimePoint kStart{std::chrono::hours(1)};

  TimePoint Now() override;
  // Returns at once if the time is `until` or later.
  void Wait(absl::CondVar* condition, absl::Mutex* mutex,
            TimePoint until) override ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);

  // Moves the time forward by `by`, and wakes the threads whose `until` has
  // come. The caller must hold none of their mutexes, and the mutexes must
  // outlive the call.
  void Advance(Duration by);

  // Waits until exactly `count` threads are in Wait. Returns false after
  // kPatience.
  bool AwaitWaiters(std::size_t count);

  // Returns the earliest `until` of the threads in Wait; kForever if there are
  // none.
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
