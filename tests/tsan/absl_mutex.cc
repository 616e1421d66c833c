// Tells ThreadSanitizer (TSan) about Abseil's locks.
//
// Abseil does this itself if it is built with TSan. Debian's Abseil is not, so
// TSan would see no order between two threads that use the same absl::Mutex. In
// the tsan build the linker replaces Abseil's functions by those of this file
// (--wrap, see cmake/tsan.cmake). Each of them calls Abseil's function and
// reports the operation to TSan. Calls within Abseil are not reported, and need
// not be.
//
// Not covered: Notification::HasBeenNotified, which is inline (wait for the
// notification instead), and ReaderLockWhen with a timeout.

#include <sanitizer/tsan_interface.h>

#include "absl/synchronization/barrier.h"
#include "absl/synchronization/blocking_counter.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"

// Names that the linker gives to a function of Abseil (Real) and to its
// replacement (Wrap). A member function takes `this` as its first argument.
#define SLUICE_REAL(symbol) asm("__real__ZN" SLUICE_ABSL_NAMESPACE symbol)
#define SLUICE_WRAP(symbol) asm("__wrap__ZN" SLUICE_ABSL_NAMESPACE symbol)
#define SLUICE_REAL_CONST(symbol) \
  asm("__real__ZNK" SLUICE_ABSL_NAMESPACE symbol)
#define SLUICE_WRAP_CONST(symbol) \
  asm("__wrap__ZNK" SLUICE_ABSL_NAMESPACE symbol)

namespace sluice {
namespace {

using absl::Condition;
using absl::CondVar;
using absl::Duration;
using absl::Mutex;
using absl::Time;

constexpr unsigned kWriter = 0;
constexpr unsigned kReader = __tsan_mutex_read_lock;

class Locking {
 public:
  explicit Locking(Mutex* mutex, unsigned mode = kWriter)
      : mutex_(mutex), mode_(mode) {
    __tsan_mutex_pre_lock(mutex_, mode_);
  }
  ~Locking() { __tsan_mutex_post_lock(mutex_, mode_, 0); }

 private:
  Mutex* const mutex_;
  const unsigned mode_;
};

class Unlocking {
 public:
  explicit Unlocking(Mutex* mutex, unsigned mode = kWriter)
      : mutex_(mutex), mode_(mode) {
    __tsan_mutex_pre_unlock(mutex_, mode_);
  }
  ~Unlocking() { __tsan_mutex_post_unlock(mutex_, mode_); }

 private:
  Mutex* const mutex_;
  const unsigned mode_;
};

// Reports that a lock is released for a while, so that others may take it, and
// then taken again.
class Relocking {
 public:
  explicit Relocking(Mutex* mutex) : unlocked_(mutex), locking_(mutex) {}

 private:
  struct Unlocked {
    explicit Unlocked(Mutex* mutex) { const Unlocking unlocking(mutex); }
  };
  const Unlocked unlocked_;
  const Locking locking_;
};

bool TryLocking(Mutex* mutex, unsigned mode, bool (*try_lock)(Mutex*)) {
  mode |= __tsan_mutex_try_lock;
  __tsan_mutex_pre_lock(mutex, mode);
  const bool locked = try_lock(mutex);
  __tsan_mutex_post_lock(
      mutex, locked ? mode : mode | __tsan_mutex_try_lock_failed, 0);
  return locked;
}

}  // namespace

// Mutex

void RealDestroy(Mutex*) SLUICE_REAL("5MutexD1Ev");
void WrapDestroy(Mutex*) SLUICE_WRAP("5MutexD1Ev");
void WrapDestroy(Mutex* mutex) {
  __tsan_mutex_destroy(mutex, __tsan_mutex_not_static);
  RealDestroy(mutex);
}

void RealLock(Mutex*) SLUICE_REAL("5Mutex4LockEv");
void WrapLock(Mutex*) SLUICE_WRAP("5Mutex4LockEv");
void WrapLock(Mutex* mutex) {
  const Locking locking(mutex);
  RealLock(mutex);
}

void RealUnlock(Mutex*) SLUICE_REAL("5Mutex6UnlockEv");
void WrapUnlock(Mutex*) SLUICE_WRAP("5Mutex6UnlockEv");
void WrapUnlock(Mutex* mutex) {
  const Unlocking unlocking(mutex);
  RealUnlock(mutex);
}

bool RealTryLock(Mutex*) SLUICE_REAL("5Mutex7TryLockEv");
bool WrapTryLock(Mutex*) SLUICE_WRAP("5Mutex7TryLockEv");
bool WrapTryLock(Mutex* mutex) {
  return TryLocking(mutex, kWriter, &RealTryLock);
}

void RealReaderLock(Mutex*) SLUICE_REAL("5Mutex10ReaderLockEv");
void WrapReaderLock(Mutex*) SLUICE_WRAP("5Mutex10ReaderLockEv");
void WrapReaderLock(Mutex* mutex) {
  const Locking locking(mutex, kReader);
  RealReaderLock(mutex);
}

void RealReaderUnlock(Mutex*) SLUICE_REAL("5Mutex12ReaderUnlockEv");
void WrapReaderUnlock(Mutex*) SLUICE_WRAP("5Mutex12ReaderUnlockEv");
void WrapReaderUnlock(Mutex* mutex) {
  const Unlocking unlocking(mutex, kReader);
  RealReaderUnlock(mutex);
}

bool RealReaderTryLock(Mutex*) SLUICE_REAL("5Mutex13ReaderTryLockEv");
bool WrapReaderTryLock(Mutex*) SLUICE_WRAP("5Mutex13ReaderTryLockEv");
bool WrapReaderTryLock(Mutex* mutex) {
  return TryLocking(mutex, kReader, &RealReaderTryLock);
}

// Mutex with conditions. The thread that unlocks evaluates the condition. TSan
// ignores everything between the begin and the end of a lock or unlock.

void RealLockWhen(Mutex*, const Condition&)
    SLUICE_REAL("5Mutex8LockWhenERKNS0_9ConditionE");
void WrapLockWhen(Mutex*, const Condition&)
    SLUICE_WRAP("5Mutex8LockWhenERKNS0_9ConditionE");
void WrapLockWhen(Mutex* mutex, const Condition& condition) {
  const Locking locking(mutex);
  RealLockWhen(mutex, condition);
}

void RealReaderLockWhen(Mutex*, const Condition&)
    SLUICE_REAL("5Mutex14ReaderLockWhenERKNS0_9ConditionE");
void WrapReaderLockWhen(Mutex*, const Condition&)
    SLUICE_WRAP("5Mutex14ReaderLockWhenERKNS0_9ConditionE");
void WrapReaderLockWhen(Mutex* mutex, const Condition& condition) {
  const Locking locking(mutex, kReader);
  RealReaderLockWhen(mutex, condition);
}

bool RealLockWhenWithTimeout(Mutex*, const Condition&, Duration)
    SLUICE_REAL("5Mutex19LockWhenWithTimeoutERKNS0_9ConditionENS0_8DurationE");
bool WrapLockWhenWithTimeout(Mutex*, const Condition&, Duration)
    SLUICE_WRAP("5Mutex19LockWhenWithTimeoutERKNS0_9ConditionENS0_8DurationE");
bool WrapLockWhenWithTimeout(Mutex* mutex, const Condition& condition,
                             Duration timeout) {
  const Locking locking(mutex);
  return RealLockWhenWithTimeout(mutex, condition, timeout);
}

bool RealLockWhenWithDeadline(Mutex*, const Condition&, Time)
    SLUICE_REAL("5Mutex20LockWhenWithDeadlineERKNS0_9ConditionENS0_4TimeE");
bool WrapLockWhenWithDeadline(Mutex*, const Condition&, Time)
    SLUICE_WRAP("5Mutex20LockWhenWithDeadlineERKNS0_9ConditionENS0_4TimeE");
bool WrapLockWhenWithDeadline(Mutex* mutex, const Condition& condition,
                              Time deadline) {
  const Locking locking(mutex);
  return RealLockWhenWithDeadline(mutex, condition, deadline);
}

void RealAwait(Mutex*, const Condition&)
    SLUICE_REAL("5Mutex5AwaitERKNS0_9ConditionE");
void WrapAwait(Mutex*, const Condition&)
    SLUICE_WRAP("5Mutex5AwaitERKNS0_9ConditionE");
void WrapAwait(Mutex* mutex, const Condition& condition) {
  const Relocking relocking(mutex);
  RealAwait(mutex, condition);
}

bool RealAwaitWithTimeout(Mutex*, const Condition&, Duration)
    SLUICE_REAL("5Mutex16AwaitWithTimeoutERKNS0_9ConditionENS0_8DurationE");
bool WrapAwaitWithTimeout(Mutex*, const Condition&, Duration)
    SLUICE_WRAP("5Mutex16AwaitWithTimeoutERKNS0_9ConditionENS0_8DurationE");
bool WrapAwaitWithTimeout(Mutex* mutex, const Condition& condition,
                          Duration timeout) {
  const Relocking relocking(mutex);
  return RealAwaitWithTimeout(mutex, condition, timeout);
}

bool RealAwaitWithDeadline(Mutex*, const Condition&, Time)
    SLUICE_REAL("5Mutex17AwaitWithDeadlineERKNS0_9ConditionENS0_4TimeE");
bool WrapAwaitWithDeadline(Mutex*, const Condition&, Time)
    SLUICE_WRAP("5Mutex17AwaitWithDeadlineERKNS0_9ConditionENS0_4TimeE");
bool WrapAwaitWithDeadline(Mutex* mutex, const Condition& condition,
                           Time deadline) {
  const Relocking relocking(mutex);
  return RealAwaitWithDeadline(mutex, condition, deadline);
}

// ReleasableMutexLock. Release is its only function that is not inline. Its
// only member is the mutex, which Release sets to null.

void RealRelease(absl::ReleasableMutexLock*)
    SLUICE_REAL("19ReleasableMutexLock7ReleaseEv");
void WrapRelease(absl::ReleasableMutexLock*)
    SLUICE_WRAP("19ReleasableMutexLock7ReleaseEv");
void WrapRelease(absl::ReleasableMutexLock* lock) {
  const Unlocking unlocking(*reinterpret_cast<Mutex**>(lock));
  RealRelease(lock);
}

// CondVar

void RealWait(CondVar*, Mutex*) SLUICE_REAL("7CondVar4WaitEPNS0_5MutexE");
void WrapWait(CondVar*, Mutex*) SLUICE_WRAP("7CondVar4WaitEPNS0_5MutexE");
void WrapWait(CondVar* condition, Mutex* mutex) {
  const Relocking relocking(mutex);
  RealWait(condition, mutex);
}

bool RealWaitWithTimeout(CondVar*, Mutex*, Duration)
    SLUICE_REAL("7CondVar15WaitWithTimeoutEPNS0_5MutexENS0_8DurationE");
bool WrapWaitWithTimeout(CondVar*, Mutex*, Duration)
    SLUICE_WRAP("7CondVar15WaitWithTimeoutEPNS0_5MutexENS0_8DurationE");
bool WrapWaitWithTimeout(CondVar* condition, Mutex* mutex, Duration timeout) {
  const Relocking relocking(mutex);
  return RealWaitWithTimeout(condition, mutex, timeout);
}

bool RealWaitWithDeadline(CondVar*, Mutex*, Time)
    SLUICE_REAL("7CondVar16WaitWithDeadlineEPNS0_5MutexENS0_4TimeE");
bool WrapWaitWithDeadline(CondVar*, Mutex*, Time)
    SLUICE_WRAP("7CondVar16WaitWithDeadlineEPNS0_5MutexENS0_4TimeE");
bool WrapWaitWithDeadline(CondVar* condition, Mutex* mutex, Time deadline) {
  const Relocking relocking(mutex);
  return RealWaitWithDeadline(condition, mutex, deadline);
}

// Notification. Everything before Notify is visible after a wait for it.

void RealNotify(absl::Notification*) SLUICE_REAL("12Notification6NotifyEv");
void WrapNotify(absl::Notification*) SLUICE_WRAP("12Notification6NotifyEv");
void WrapNotify(absl::Notification* notification) {
  __tsan_release(notification);
  RealNotify(notification);
}

void RealWaitFor(const absl::Notification*)
    SLUICE_REAL_CONST("12Notification19WaitForNotificationEv");
void WrapWaitFor(const absl::Notification*)
    SLUICE_WRAP_CONST("12Notification19WaitForNotificationEv");
void WrapWaitFor(const absl::Notification* notification) {
  RealWaitFor(notification);
  __tsan_acquire(const_cast<absl::Notification*>(notification));
}

bool RealWaitForWithTimeout(const absl::Notification*, Duration)
    SLUICE_REAL_CONST(
        "12Notification30WaitForNotificationWithTimeoutENS0_8DurationE");
bool WrapWaitForWithTimeout(const absl::Notification*, Duration)
    SLUICE_WRAP_CONST(
        "12Notification30WaitForNotificationWithTimeoutENS0_8DurationE");
bool WrapWaitForWithTimeout(const absl::Notification* notification,
                            Duration timeout) {
  const bool notified = RealWaitForWithTimeout(notification, timeout);
  if (notified) __tsan_acquire(const_cast<absl::Notification*>(notification));
  return notified;
}

bool RealWaitForWithDeadline(const absl::Notification*, Time) SLUICE_REAL_CONST(
    "12Notification31WaitForNotificationWithDeadlineENS0_4TimeE");
bool WrapWaitForWithDeadline(const absl::Notification*, Time) SLUICE_WRAP_CONST(
    "12Notification31WaitForNotificationWithDeadlineENS0_4TimeE");
bool WrapWaitForWithDeadline(const absl::Notification* notification,
                             Time deadline) {
  const bool notified = RealWaitForWithDeadline(notification, deadline);
  if (notified) __tsan_acquire(const_cast<absl::Notification*>(notification));
  return notified;
}

// BlockingCounter. Everything before DecrementCount is visible after the wait.

bool RealDecrement(absl::BlockingCounter*)
    SLUICE_REAL("15BlockingCounter14DecrementCountEv");
bool WrapDecrement(absl::BlockingCounter*)
    SLUICE_WRAP("15BlockingCounter14DecrementCountEv");
bool WrapDecrement(absl::BlockingCounter* counter) {
  __tsan_release(counter);
  return RealDecrement(counter);
}

void RealWaitForZero(absl::BlockingCounter*)
    SLUICE_REAL("15BlockingCounter4WaitEv");
void WrapWaitForZero(absl::BlockingCounter*)
    SLUICE_WRAP("15BlockingCounter4WaitEv");
void WrapWaitForZero(absl::BlockingCounter* counter) {
  RealWaitForZero(counter);
  __tsan_acquire(counter);
}

// Barrier. Everything before Block on one thread is visible after it on all
// threads. The first thread to return may delete the barrier, and TSan forgets
// the history of a freed address. One variable, which is never freed, therefore
// represents all barriers.

static char all_barriers;

bool RealBlock(absl::Barrier*) SLUICE_REAL("7Barrier5BlockEv");
bool WrapBlock(absl::Barrier*) SLUICE_WRAP("7Barrier5BlockEv");
bool WrapBlock(absl::Barrier* barrier) {
  __tsan_release(&all_barriers);
  const bool last = RealBlock(barrier);
  __tsan_acquire(&all_barriers);
  return last;
}

}  // namespace sluice
