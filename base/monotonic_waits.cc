// Makes all timed waits of Abseil monotonic: those of Sluice, and those of
// gRPC, whose timers wait on an absl::CondVar.
//
// Abseil 20220623 turns a timeout into a time of the wall clock and lets the
// kernel wait for that time. If the wall clock is set back by an hour, the wait
// takes an hour longer. The function below replaces the function of the shared
// library that waits: the dynamic linker prefers definitions of the program.
// CMakeLists.txt forces the linker to take this file, because no source of
// Sluice calls the function. Later releases of Abseil wait on the steady clock.

#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstdlib>

#include "absl/base/config.h"
#include "absl/synchronization/internal/kernel_timeout.h"
#include "absl/synchronization/internal/waiter.h"
#include "absl/time/clock.h"

#if ABSL_LTS_RELEASE_VERSION != 20220623 || \
    ABSL_WAITER_MODE != ABSL_WAITER_MODE_FUTEX
#error \
    "This file replaces a function of Abseil 20220623. See its first comment."
#endif

namespace sluice {
namespace {

constexpr std::int64_t kNanosPerSecond = 1'000'000'000;

std::int64_t ToNanos(const timespec& time) {
  return std::int64_t{time.tv_sec} * kNanosPerSecond + time.tv_nsec;
}

std::int64_t NowNanos(clockid_t clock) {
  timespec now;
  clock_gettime(clock, &now);
  return ToNanos(now);
}

// Returns the time of the monotonic clock at which `timeout` expires.
//
// Abseil may wait several times for one timeout, for example if the mutex was
// taken by another thread. The conversion of the first wait is kept, because
// the wall clock may be set before the second.
timespec ToMonotonicDeadline(std::int64_t wall_nanos) {
  struct Conversion {
    std::int64_t wall_nanos = 0;
    std::int64_t monotonic_nanos = 0;
  };
  static thread_local Conversion last;
  if (last.wall_nanos != wall_nanos) {
    // Abseil interpolates its time and notices a step of the clock up to two
    // seconds late, and gRPC asks the kernel. The deadline belongs to the time
    // that is nearer.
    const std::int64_t of_kernel = wall_nanos - NowNanos(CLOCK_REALTIME);
    const std::int64_t of_absl = wall_nanos - absl::GetCurrentTimeNanos();
    const std::int64_t left =
        std::abs(of_kernel) < std::abs(of_absl) ? of_kernel : of_absl;
    const std::int64_t now = NowNanos(CLOCK_MONOTONIC);
    last.wall_nanos = wall_nanos;
    // A time in the past expires at once. The kernel accepts no negative time.
    last.monotonic_nanos = left > 0 ? now + left : now;
  }
  return {.tv_sec = last.monotonic_nanos / kNanosPerSecond,
          .tv_nsec = last.monotonic_nanos % kNanosPerSecond};
}

// Sleeps while `value` is 0, until it is woken or `deadline` has passed.
// Returns false after the deadline. A null pointer means "no deadline".
bool SleepWhileZero(std::atomic<std::int32_t>* value,
                    const timespec* deadline) {
  // Without FUTEX_CLOCK_REALTIME the kernel compares with CLOCK_MONOTONIC.
  const auto result = syscall(SYS_futex, reinterpret_cast<std::int32_t*>(value),
                              FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG, 0,
                              deadline, nullptr, FUTEX_BITSET_MATCH_ANY);
  if (result == 0 || errno == EINTR || errno == EWOULDBLOCK) return true;
  if (errno != ETIMEDOUT) std::abort();
  return false;
}

}  // namespace
}  // namespace sluice

namespace absl {
ABSL_NAMESPACE_BEGIN
namespace synchronization_internal {

// Waits for Post: decrements `futex_` if it is positive. Returns false if `t`
// has passed.
bool Waiter::Wait(KernelTimeout t) {
  timespec deadline = {};
  if (t.has_timeout()) {
    deadline =
        sluice::ToMonotonicDeadline(sluice::ToNanos(t.MakeAbsTimespec()));
  }
  for (;;) {
    std::int32_t posted = futex_.load(std::memory_order_relaxed);
    while (posted != 0) {
      if (futex_.compare_exchange_weak(posted, posted - 1,
                                       std::memory_order_acquire,
                                       std::memory_order_relaxed)) {
        return true;
      }
    }
    if (!sluice::SleepWhileZero(&futex_,
                                t.has_timeout() ? &deadline : nullptr)) {
      return false;
    }
  }
}

}  // namespace synchronization_internal
ABSL_NAMESPACE_END
}  // namespace absl

// Named by CMakeLists.txt, so that the linker takes this file.
extern "C" const char kSluiceMonotonicWaits;
const char kSluiceMonotonicWaits = 0;
