// Tests that ThreadSanitizer (TSan) works with the options and suppressions of
// all other tests: it must report seeded errors, and must not report correct
// use of Abseil's locks.

#include <cstdlib>
#include <thread>

#include "absl/synchronization/barrier.h"
#include "absl/synchronization/blocking_counter.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"

namespace sluice {
namespace {

// Runs both functions at the same time.
template <typename First, typename Second>
void InParallel(First first, Second second) {
  std::thread one(first);
  std::thread two(second);
  one.join();
  two.join();
}

// Exit code of a process in which TSan has reported an error.
const testing::ExitedWithCode kReported(66);

class SeededErrorTest : public testing::Test {
 protected:
  SeededErrorTest() {
    // Runs the statement in a fresh process, with the environment of this
    // process.
    testing::FLAGS_gtest_death_test_style = "threadsafe";
  }
};

TEST_F(SeededErrorTest, ARaceWithoutALockIsReported) {
  int count = 0;
  EXPECT_EXIT(
      {
        InParallel([&] { ++count; }, [&] { ++count; });
        std::exit(0);
      },
      kReported, "data race");
}

TEST_F(SeededErrorTest, ARaceUnderDifferentLocksIsReported) {
  int count = 0;
  absl::Mutex first;
  absl::Mutex second;
  EXPECT_EXIT(
      {
        InParallel(
            [&] {
              absl::MutexLock lock(&first);
              ++count;
            },
            [&] {
              absl::MutexLock lock(&second);
              ++count;
            });
        std::exit(0);
      },
      kReported, "data race");
}

TEST_F(SeededErrorTest, ARaceUnderAReaderLockIsReported) {
  int count = 0;
  absl::Mutex mutex;
  EXPECT_EXIT(
      {
        const auto increment = [&] {
          absl::ReaderMutexLock lock(&mutex);
          ++count;
        };
        InParallel(increment, increment);
        std::exit(0);
      },
      kReported, "data race");
}

TEST_F(SeededErrorTest, LocksTakenInBothOrdersAreReported) {
  absl::Mutex first;
  absl::Mutex second;
  EXPECT_EXIT(
      {
        std::thread([&] {
          absl::MutexLock outer(&first);
          absl::MutexLock inner(&second);
        }).join();
        std::thread([&] {
          absl::MutexLock outer(&second);
          absl::MutexLock inner(&first);
        }).join();
        std::exit(0);
      },
      kReported, "lock-order-inversion");
}

// Each of these tests increments `count_` on two threads, in an order that TSan
// must see. A report ends the process.
class CorrectUseTest : public testing::Test {
 protected:
  void Increment() { ++count_; }
  bool IsOne() const { return count_ == 1; }

  absl::Mutex mutex_;
  int count_ = 0;
};

TEST_F(CorrectUseTest, OfOneMutex) {
  const auto increment = [&] {
    for (int i = 0; i < 1000; ++i) {
      absl::MutexLock lock(&mutex_);
      Increment();
    }
  };
  InParallel(increment, increment);
  EXPECT_EQ(count_, 2000);
}

TEST_F(CorrectUseTest, OfReaderLocks) {
  int seen = 0;
  InParallel(
      [&] {
        absl::WriterMutexLock lock(&mutex_);
        Increment();
      },
      [&] {
        absl::ReaderMutexLock lock(&mutex_);
        seen = count_;
      });
  EXPECT_LE(seen, 1);
}

TEST_F(CorrectUseTest, OfTryLock) {
  const auto increment = [&] {
    while (!mutex_.TryLock()) std::this_thread::yield();
    Increment();
    mutex_.Unlock();
    while (!mutex_.ReaderTryLock()) std::this_thread::yield();
    EXPECT_GE(count_, 1);
    mutex_.ReaderUnlock();
  };
  InParallel(increment, increment);
  EXPECT_EQ(count_, 2);
}

TEST_F(CorrectUseTest, OfAReleasedLock) {
  const auto increment = [&] {
    absl::ReleasableMutexLock lock(&mutex_);
    Increment();
    lock.Release();
  };
  InParallel(increment, increment);
  EXPECT_EQ(count_, 2);
}

TEST_F(CorrectUseTest, OfConditionVariables) {
  absl::CondVar changed;
  InParallel(
      [&] {
        absl::MutexLock lock(&mutex_);
        while (!IsOne()) changed.Wait(&mutex_);
        Increment();
        changed.SignalAll();
      },
      [&] {
        absl::MutexLock lock(&mutex_);
        Increment();
        changed.SignalAll();
        while (IsOne()) {
          changed.WaitWithTimeout(&mutex_, absl::Hours(1));
        }
        Increment();
      });
  absl::MutexLock lock(&mutex_);
  EXPECT_TRUE(changed.WaitWithDeadline(&mutex_, absl::Now()));
  EXPECT_EQ(count_, 3);
}

TEST_F(CorrectUseTest, OfConditions) {
  const absl::Condition one(
      +[](int* count) { return *count == 1; }, &count_);
  const absl::Condition three(
      +[](int* count) { return *count == 3; }, &count_);
  InParallel(
      [&] {
        absl::MutexLock lock(&mutex_);
        mutex_.Await(one);
        count_ = 3;
      },
      [&] {
        mutex_.Lock();
        Increment();
        mutex_.Unlock();
        EXPECT_TRUE(mutex_.LockWhenWithTimeout(three, absl::Hours(1)));
        Increment();
        EXPECT_FALSE(mutex_.AwaitWithTimeout(three, absl::ZeroDuration()));
        mutex_.Unlock();
      });
  EXPECT_EQ(count_, 4);
}

TEST_F(CorrectUseTest, OfANotification) {
  absl::Notification notification;
  InParallel(
      [&] {
        Increment();
        notification.Notify();
      },
      [&] {
        notification.WaitForNotification();
        Increment();
      });
  EXPECT_EQ(count_, 2);
}

TEST_F(CorrectUseTest, OfABlockingCounter) {
  absl::BlockingCounter counter(1);
  InParallel(
      [&] {
        Increment();
        counter.DecrementCount();
      },
      [&] {
        counter.Wait();
        Increment();
      });
  EXPECT_EQ(count_, 2);
}

TEST_F(CorrectUseTest, OfABarrier) {
  auto* barrier = new absl::Barrier(2);
  InParallel(
      [&] {
        Increment();
        if (barrier->Block()) delete barrier;
      },
      [&] {
        if (barrier->Block()) delete barrier;
        Increment();
      });
  EXPECT_EQ(count_, 2);
}

TEST_F(CorrectUseTest, OfAPlaceWhereAnotherMutexWas) {
  for (int i = 0; i < 10; ++i) {
    absl::Mutex mutex;
    const auto increment = [&] {
      absl::MutexLock lock(&mutex);
      Increment();
    };
    InParallel(increment, increment);
  }
  EXPECT_EQ(count_, 20);
}

}  // namespace
}  // namespace sluice
