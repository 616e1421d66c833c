// Timed waits take as long as they should while the wall clock is set.

#include <sys/types.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <fstream>
#include <string>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "gtest/gtest.h"
#include "tests/fakes/patience.h"
#include "tests/fakes/stepped_clock.h"

#ifndef SLUICE_SANITIZED

namespace sluice {
namespace {

constexpr absl::Duration kWait = absl::Milliseconds(100);

// True if the thread of this process waits in the kernel.
bool Sleeps(pid_t thread) {
  std::ifstream file(absl::StrCat("/proc/self/task/", thread, "/stat"));
  std::string text;
  std::getline(file, text);
  // The state follows the name, which is in parentheses.
  return absl::StrContains(text, ") S ");
}

// Each test waits for kWait, and the wall clock is set meanwhile.
class MonotonicWaits : public testing::TestWithParam<absl::Duration> {
 protected:
  ~MonotonicWaits() override { StepClock(0); }

  // Checks that `wait` takes between kWait and kPatience.
  template <typename Wait>
  void Check(Wait wait) {
    const TimePoint begun = SystemClock()->Now();
    std::thread setter([this, waiter = gettid()] {
      AwaitThat("the thread waits", [waiter] { return Sleeps(waiter); });
      StepClock(absl::ToInt64Nanoseconds(GetParam()));
      OnStep();
    });
    wait();
    const absl::Duration took = absl::FromChrono(SystemClock()->Now() - begun);
    setter.join();
    EXPECT_GE(took, kWait);
    EXPECT_LT(took, kPatience);
  }

  void OnStep() {
    // Wakes the waiting thread once, for nothing.
    absl::MutexLock lock(&mutex_);
    ++wakes_;
    changed_.Signal();
  }

  absl::Mutex mutex_;
  absl::CondVar changed_;
  int wakes_ ABSL_GUARDED_BY(mutex_) = 0;
};

TEST_P(MonotonicWaits, OfTheClock) {
  Check([this] {
    absl::CondVar never;
    const TimePoint until = SystemClock()->Now() + ToMonotonic(kWait);
    absl::MutexLock lock(&mutex_);
    while (SystemClock()->Now() < until) {
      SystemClock()->Wait(&never, &mutex_, until);
    }
  });
}

TEST_P(MonotonicWaits, OfAConditionVariable) {
  Check([this] {
    absl::CondVar never;
    absl::MutexLock lock(&mutex_);
    while (!never.WaitWithTimeout(&mutex_, kWait)) {
    }
  });
}

TEST_P(MonotonicWaits, OfACondition) {
  Check([this] {
    absl::MutexLock lock(&mutex_);
    const auto never = [this]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) {
      return wakes_ > 1;
    };
    EXPECT_FALSE(mutex_.AwaitWithTimeout(absl::Condition(&never), kWait));
  });
}

TEST_P(MonotonicWaits, OfANotification) {
  Check([] {
    absl::Notification never;
    EXPECT_FALSE(never.WaitForNotificationWithTimeout(kWait));
  });
}

TEST_P(MonotonicWaits, ThatBeginAfterTheStep) {
  EXPECT_NE(absl::Now(), absl::UnixEpoch());  // Abseil has a sample
  StepClock(absl::ToInt64Nanoseconds(GetParam()));
  const TimePoint begun = SystemClock()->Now();
  const absl::Notification never;
  EXPECT_FALSE(never.WaitForNotificationWithTimeout(kWait));
  const absl::Duration took = absl::FromChrono(SystemClock()->Now() - begun);
  EXPECT_GE(took, kWait);
  EXPECT_LT(took, kPatience);
}

INSTANTIATE_TEST_SUITE_P(Steps, MonotonicWaits,
                         testing::Values(absl::Hours(-1), absl::Hours(1),
                                         absl::Hours(-24 * 3652),
                                         absl::Hours(24 * 3652)));

TEST(SteppedClock, ChangesTheWallClockOnly) {
  // absl::Now notices a step late.
  const auto wall = std::chrono::system_clock::now();
  const TimePoint monotonic = SystemClock()->Now();
  StepClock(absl::ToInt64Nanoseconds(absl::Hours(5)));
  EXPECT_GE(std::chrono::system_clock::now(), wall + std::chrono::hours(5));
  EXPECT_LT(SystemClock()->Now(), monotonic + std::chrono::hours(1));
  StepClock(0);
}

}  // namespace
}  // namespace sluice

#endif  // SLUICE_SANITIZED
