#include "base/clock.h"

#include <chrono>
#include <thread>

#include "absl/synchronization/mutex.h"
#include "gtest/gtest.h"
#include "tests/fakes/fake_clock.h"

namespace sluice {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// Waits on a clock, until a time or until Call is called.
class Sleeper {
 public:
  explicit Sleeper(Clock* clock) : clock_(clock) {}

  // Returns at `until`, or earlier after Call.
  void Sleep(TimePoint until) {
    absl::MutexLock lock(&mutex_);
    while (!called_ && clock_->Now() < until) {
      clock_->Wait(&changed_, &mutex_, until);
    }
  }

  void Call() {
    absl::MutexLock lock(&mutex_);
    called_ = true;
    changed_.Signal();
  }

 private:
  Clock* const clock_;
  absl::Mutex mutex_;
  absl::CondVar changed_;
  bool called_ ABSL_GUARDED_BY(mutex_) = false;
};

TEST(SystemClock, RunsOnTheMonotonicClock) {
  const TimePoint before = std::chrono::steady_clock::now();
  const TimePoint now = SystemClock()->Now();
  EXPECT_GE(now, before);
  EXPECT_LE(now, std::chrono::steady_clock::now());
}

TEST(SystemClock, WaitsUntilTheMomentHasCome) {
  const TimePoint until = SystemClock()->Now() + milliseconds(5);
  Sleeper(SystemClock()).Sleep(until);
  EXPECT_GE(SystemClock()->Now(), until);
}

TEST(SystemClock, DoesNotWaitForWhatIsPast) {
  absl::Mutex mutex;
  absl::CondVar never;
  absl::MutexLock lock(&mutex);
  SystemClock()->Wait(&never, &mutex, SystemClock()->Now() - seconds(1));
  SystemClock()->Wait(&never, &mutex, TimePoint::min());
}

TEST(SystemClock, IsWokenByASignal) {
  for (const TimePoint until :
       {kForever, SystemClock()->Now() + std::chrono::hours(1)}) {
    Sleeper sleeper(SystemClock());
    std::thread thread([&] { sleeper.Sleep(until); });
    sleeper.Call();
    thread.join();
  }
}

TEST(FakeClock, StandsStillUntilAdvanced) {
  FakeClock clock;
  EXPECT_EQ(clock.Now(), FakeClock::kStart);
  clock.Advance(milliseconds(7));
  EXPECT_EQ(clock.Now(), FakeClock::kStart + milliseconds(7));
}

TEST(FakeClock, DoesNotWaitForWhatIsPast) {
  FakeClock clock;
  absl::Mutex mutex;
  absl::CondVar never;
  absl::MutexLock lock(&mutex);
  clock.Wait(&never, &mutex, clock.Now());
}

TEST(FakeClock, WakesSleepersWheneverItIsAdvanced) {
  // Advance may run before, while or after the sleepers fall asleep. No sleeper
  // may oversleep.
  for (int round = 0; round < 1000; ++round) {
    FakeClock clock;
    Sleeper first(&clock);
    Sleeper second(&clock);
    const TimePoint until = clock.Now() + seconds(1);
    std::thread one([&] { first.Sleep(until); });
    std::thread two([&] { second.Sleep(until); });
    clock.Advance(seconds(1));
    one.join();
    two.join();
  }
}

TEST(FakeClock, KnowsHowManyWait) {
  FakeClock clock;
  Sleeper sleeper(&clock);
  std::thread thread([&] { sleeper.Sleep(kForever); });
  EXPECT_TRUE(clock.AwaitWaiters(1));
  sleeper.Call();
  thread.join();
  EXPECT_TRUE(clock.AwaitWaiters(0));
}

}  // namespace
}  // namespace sluice
