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

// Told that a parked task has entered the queue, and its sequence number. The
// task itself cannot be told: a worker may have finished with it by then.
class AdmissionListener {
 public:
  virtual ~AdmissionListener() = default;
  virtual void OnAdmitted(std::int64_t sequence) = 0;
};

// A task belongs to whoever made it. The owner keeps it alive from Arrive until
// the pool returns it: by kEnded, by Leave, by OnEnded or by OnDone. Not
// thread-safe: a task belongs to one party at a time.
class Task {
 public:
  Task() = default;
  Task(const Task&) = delete;
  Task& operator=(const Task&) = delete;
  virtual ~Task() = default;

  // The pool returns the task, which was not begun, with how it ended. Room is
  // expected after `retry_delay`.
  virtual void OnEnded(TaskResult end, Duration retry_delay) = 0;
  // The pool returns the task, which was worked and counted.
  virtual void OnDone() = 0;

  // Set by the Gate at admission; 0 while the task is parked.
  std::int64_t sequence = 0;
  TimePoint admitted_at{};

  // Set by the owner before Arrive, and constant while the pool has the task.
  std::size_t method = 0;  // index of the counters that the task belongs to
  std::size_t bytes = 0;
  // Sender in a pool that is shared by lanes (fair_queue.h): any number.
  std::uint64_t lane = 0;
  // Bytes that the call holds while the task is parked, such as tasks that wait
  // behind it. Count in the waiting room only.
  std::size_t bytes_behind = 0;
  TimePoint deadline = kForever;
  // When the caller began to wait, if that is before Arrive. Policies measure
  // waits from then, so that a call with many tasks waits no longer than one.
  TimePoint waits_since = kForever;
  // Promised tasks with the same key, other than 0, are worked in the order of
  // their admission.
  std::uint64_t order_key = 0;
  // Told once, if the task is parked and enters the queue later; may be null.
  // May be told before Arrive has returned, and after the pool has returned the
  // task. Must live until it was told, or until the task is returned with a
  // sequence of 0: then it is never told.
  AdmissionListener* listener = nullptr;

  Priority priority = Priority::kNormal;
  // The caller is answered before the task is worked: once queued, the task
  // does not leave.
  bool promised = false;
  // Once admitted, the task is kept from workers until Gate::Committed. Only
  // promised tasks need a commit.
  bool needs_commit = false;
  // A later arrival may evict the task while it is queued (eviction.h). Without
  // effect on a task that is promised or needs a commit.
  bool droppable = false;

  // Set by the processor: the result (one that is worked, kStoreUnavailable or
  // kCancelled), or that the task is to be worked again.
  TaskResult result = TaskResult::kFailed;
  bool again = false;

 private:
  friend class Eviction;
  friend class FairQueue;
  friend class Gate;
  friend class KeyOrder;
  friend class TaskList;

  // Place of the task, and with it the list that holds the task. A task is in
  // one list at most. While the task is outside or in work, it is in no list.
  enum class Place : std::uint8_t {
    kOutside,
    kParked,      // Lane::waiting
    kCommitting,  // Gate::committing_
    kQueued,      // Lane::queued
    kDeferred,    // KeyOrder, for its key
    kInWork,
  };

  Place place_ = Place::kOutside;
  bool evictable_ = false;  // in a list of Eviction
  bool returned_ = false;   // put back at the front of its lane
  TimePoint parked_until_ = kForever;
  TimePoint taken_at_{};
  // Place in the line: set when the task is parked, and again when it can be
  // taken for the first time.
  std::uint64_t order_ = 0;
  Lane* lane_ = nullptr;  // while the task is parked or queued
  Task* previous_ = nullptr;
  Task* next_ = nullptr;
  Task* older_ = nullptr;  // among tasks that may be evicted
  Task* newer_ = nullptr;
};

}  // namespace sluice

#endif  // SLUICE_POOL_TASK_H_
