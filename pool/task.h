// One arrival on its way through a pool.

#ifndef SLUICE_POOL_TASK_H_
#define SLUICE_POOL_TASK_H_

#include <cstddef>
#include <cstdint>

#include "base/time.h"
#include "policies/priority.h"
#include "pool/task_result.h"

namespace sluice {

struct Lane;

// Receives the sequence number of a parked task that has entered the queue. The
// listener is not the task itself, because a worker may have finished with the
// task by then.
class AdmissionListener {
 public:
  virtual ~AdmissionListener() = default;
  virtual void OnAdmitted(std::int64_t sequence) = 0;
};

// Belongs to its creator, the owner. The owner keeps the task alive from Arrive
// until the pool returns it: by kEnded, by Leave, by OnEnded or by OnDone. Not
// thread-safe: only one party uses a task at a time.
class Task {
 public:
  Task() = default;
  Task(const Task&) = delete;
  Task& operator=(const Task&) = delete;
  virtual ~Task() = default;

  // The pool returns the task, which ended with result `end` before it was
  // begun. Room is expected after `retry_delay`.
  virtual void OnEnded(TaskResult end, Duration retry_delay) = 0;
  // The pool returns the task, which was processed and counted.
  virtual void OnDone() = 0;

  // Set by the Gate at admission; 0 while the task is parked.
  std::int64_t sequence = 0;
  TimePoint admitted_at{};

  // Set by the owner before Arrive. Constant while the pool has the task.
  std::size_t method = 0;  // index of the counters that the task belongs to
  std::size_t bytes = 0;
  // Sender, for a pool that is shared by lanes (fair_queue.h). Any number.
  std::uint64_t lane = 0;
  // Bytes that the call holds in addition while the task is parked, such as
  // later tasks of the call. They count in the waiting room only.
  std::size_t bytes_behind = 0;
  TimePoint deadline = kForever;
  // Start of the caller's wait, if earlier than Arrive. Policies measure waits
  // from this time, so that a call with many tasks waits no longer than a call
  // with one.
  TimePoint waits_since = kForever;
  // Promised tasks with the same key are processed in the order of their
  // admission. 0 means no key.
  std::uint64_t order_key = 0;
  // Called once if the task is parked and enters the queue later; may be null.
  // The call may happen before Arrive has returned, or after the pool has
  // returned the task. The listener must live until it was called, or until the
  // task is returned with a sequence of 0 (then it is never called).
  AdmissionListener* listener = nullptr;

  Priority priority = Priority::kNormal;
  // True if the caller is answered before the task is processed. Such a task
  // does not leave the queue when the caller cancels.
  bool promised = false;
  // True if workers must not get the admitted task before Gate::Committed. Only
  // promised tasks may need a commit.
  bool needs_commit = false;
  // True if a later arrival may evict the task while it is queued (eviction.h).
  // Has no effect on a task that is promised or needs a commit.
  bool droppable = false;

  // Set by the processor: the result (IsWorked, kStoreUnavailable or
  // kCancelled), or that the task must be processed again.
  TaskResult result = TaskResult::kFailed;
  bool again = false;
  // Used with `again`: neither the task nor another task of its key is
  // processed before this time. If several tasks of one batch and key are
  // processed again, the Gate gives all of them the latest of their times.
  TimePoint again_at{};

 private:
  friend class Eviction;
  friend class FairQueue;
  friend class Gate;
  friend class KeyOrder;
  friend class TaskList;

  // Place of the task, which determines the list that holds it. A task is in at
  // most one list. A task that is outside is in no list.
  enum class Place : std::uint8_t {
    kOutside,
    kParked,      // Lane::waiting
    kCommitting,  // Gate::committing_
    kQueued,      // Lane::queued
    kDeferred,    // a list of KeyOrder
    kDelayed,     // Gate::delayed_, until Task::again_at
    kInWork,      // Gate::working_ if assertions are on
  };

  Place place_ = Place::kOutside;
  bool evictable_ = false;  // true while in a list of Eviction
  bool returned_ = false;   // true if put back at the front of its lane
  // True if the task was admitted at once and a worker was idle.
  bool found_idle_worker_ = false;
  TimePoint parked_until_ = kForever;
  TimePoint taken_at_{};
  // Position in the order of arrival: set when the task is parked, and again
  // when the task can be taken for the first time.
  std::uint64_t order_ = 0;
  Lane* lane_ = nullptr;  // set while the task is parked or queued
  Task* previous_ = nullptr;
  Task* next_ = nullptr;
  Task* older_ = nullptr;  // neighbours in a list of Eviction
  Task* newer_ = nullptr;
};

}  // namespace sluice

#endif  // SLUICE_POOL_TASK_H_
