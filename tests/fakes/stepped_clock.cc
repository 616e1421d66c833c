#include "tests/fakes/stepped_clock.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <semaphore.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdarg>
#include <cstdlib>

#include "tests/fakes/next_function.h"

namespace sluice {
namespace {

constexpr std::int64_t kNanosPerSecond = 1'000'000'000;
// The kernel wakes a wait on the wall clock when the clock is stepped past its
// end. This library looks for steps at this interval.
constexpr std::int64_t kLookNanos = 5'000'000;

struct Real {
  decltype(::clock_gettime)* clock_gettime =
      Next<decltype(::clock_gettime)>("clock_gettime");
  decltype(::syscall)* syscall = Next<decltype(::syscall)>("syscall");
  decltype(::pthread_cond_timedwait)* pthread_cond_timedwait =
      Next<decltype(::pthread_cond_timedwait)>("pthread_cond_timedwait");
  decltype(::sem_timedwait)* sem_timedwait =
      Next<decltype(::sem_timedwait)>("sem_timedwait");
};

const Real& real() {
  static const Real real;
  return real;
}

using Step = std::atomic<std::int64_t>;

Step* MapStep() {
  static Step own = 0;
  const char* const path = std::getenv(kClockStepVariable);
  if (path == nullptr) return &own;
  const int file = open(path, O_RDWR | O_CLOEXEC);
  void* const mapped =
      mmap(nullptr, sizeof(Step), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  if (mapped == MAP_FAILED) std::abort();
  close(file);
  return static_cast<Step*>(mapped);
}

Step& step() {
  static Step* const step = MapStep();
  return *step;
}

std::int64_t ToNanos(const timespec& time) {
  return std::int64_t{time.tv_sec} * kNanosPerSecond + time.tv_nsec;
}

timespec ToTimespec(std::int64_t nanos) {
  return {.tv_sec = nanos / kNanosPerSecond,
          .tv_nsec = nanos % kNanosPerSecond};
}

std::int64_t TrueNanos(clockid_t clock) {
  timespec now;
  real().clock_gettime(clock, &now);
  return ToNanos(now);
}

std::int64_t WallNanos() { return TrueNanos(CLOCK_REALTIME) + step(); }

// Waits as the kernel does for a deadline of the stepped wall clock: calls
// `wait` with true times of CLOCK_REALTIME, until it returns anything but
// `timed_out`, or the stepped clock has reached the deadline.
template <typename Result, typename Wait>
Result WaitUntil(const timespec& deadline, Result timed_out, Wait wait) {
  for (;;) {
    const std::int64_t left = ToNanos(deadline) - WallNanos();
    const timespec until =
        ToTimespec(TrueNanos(CLOCK_REALTIME) +
                   std::clamp<std::int64_t>(left, 0, kLookNanos));
    const Result result = wait(until);
    if (result != timed_out || left <= kLookNanos) return result;
  }
}

}  // namespace

void StepClock(std::int64_t nanos) { step() = nanos; }

}  // namespace sluice

using sluice::real;

extern "C" {

int clock_gettime(clockid_t clock, timespec* time) noexcept {
  const int result = real().clock_gettime(clock, time);
  if (result == 0 &&
      (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) {
    *time = sluice::ToTimespec(sluice::ToNanos(*time) + sluice::step());
  }
  return result;
}

int gettimeofday(timeval* time, void*) noexcept {
  const timespec now = sluice::ToTimespec(sluice::WallNanos());
  *time = {.tv_sec = now.tv_sec, .tv_usec = now.tv_nsec / 1000};
  return 0;
}

time_t time(time_t* time) noexcept {
  const time_t now = sluice::ToTimespec(sluice::WallNanos()).tv_sec;
  if (time != nullptr) *time = now;
  return now;
}

int pthread_cond_timedwait(pthread_cond_t* condition, pthread_mutex_t* mutex,
                           const timespec* deadline) {
  return sluice::WaitUntil(*deadline, ETIMEDOUT, [&](const timespec& until) {
    return real().pthread_cond_timedwait(condition, mutex, &until);
  });
}

int sem_timedwait(sem_t* semaphore, const timespec* deadline) {
  // Other errors than ETIMEDOUT are reported a little late.
  return sluice::WaitUntil(*deadline, -1, [&](const timespec& until) {
    return real().sem_timedwait(semaphore, &until);
  });
}

// Abseil waits by this function.
long syscall(long number, ...) noexcept {
  va_list list;
  va_start(list, number);
  long argument[6];
  for (long& value : argument) value = va_arg(list, long);
  va_end(list);
  const auto call = [&](long timeout) {
    return real().syscall(number, argument[0], argument[1], argument[2],
                          timeout, argument[4], argument[5]);
  };
  if (number != SYS_futex || (argument[1] & FUTEX_CLOCK_REALTIME) == 0 ||
      argument[3] == 0) {
    return call(argument[3]);
  }
  const auto* const deadline = reinterpret_cast<const timespec*>(argument[3]);
  const int error =
      sluice::WaitUntil(*deadline, ETIMEDOUT, [&](const timespec& until) {
        return call(reinterpret_cast<long>(&until)) == 0 ? 0 : errno;
      });
  errno = error;
  return error == 0 ? 0 : -1;
}

}  // extern "C"
