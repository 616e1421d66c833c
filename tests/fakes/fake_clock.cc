#include "tests/fakes/fake_clock.h"

#include <algorithm>

#include "tests/fakes/patience.h"

namespace sluice {

TimePoint FakeClock::Now() {
  absl::MutexLock lock(&mutex_);
  return now_;
}

void FakeClock::Wait(absl::CondVar* condition, absl::Mutex* mutex,
                     TimePoint until) {
  const Waiter self = {condition, mutex, until};
  {
    absl::MutexLock lock(&mutex_);
    if (now_ >= until) return;
    waiters_.push_back(&self);
  }
  // From here on Advance sees this waiter, but cannot lock `mutex` before the
  // waiter sleeps.
  condition->Wait(mutex);
  absl::MutexLock lock(&mutex_);
  waiters_.erase(std::ranges::find(waiters_, &self));
}

void FakeClock::Advance(Duration by) {
  std::vector<Waiter> to_wake;
  {
    absl::MutexLock lock(&mutex_);
    now_ += by;
    for (const Waiter* waiter : waiters_) {
      if (waiter->until <= now_) to_wake.push_back(*waiter);
    }
  }
  // Do not hold the clock's lock here: threads in Wait take that lock while
  // they hold `mutex`.
  for (const Waiter& waiter : to_wake) {
    absl::MutexLock lock(waiter.mutex);
    waiter.condition->SignalAll();
  }
}

TimePoint FakeClock::next_due() {
  absl::MutexLock lock(&mutex_);
  TimePoint due = kForever;
  for (const Waiter* waiter : waiters_) due = std::min(due, waiter->until);
  return due;
}

bool FakeClock::AwaitWaiters(std::size_t count) {
  const auto reached = [this, count]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) {
    return waiters_.size() == count;
  };
  absl::MutexLock lock(&mutex_);
  return mutex_.AwaitWithTimeout(absl::Condition(&reached), kPatience);
}

}  // namespace sluice
