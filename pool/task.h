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

// Is told that a parked arrival has entered the queue, and its sequence. The
// task itself can't be told: by then a worker may have finished with it.
class AdmissionListener {
 public:
  virtual ~AdmissionListener() = default;
  virtual void OnAdmitted(std::int64_t sequence) = 0;
};

// Belongs to whoever made it, who keeps it alive from Arrive until it is handed
// back: by a refusal, by Leave, by OnEnded or by OnDone. Not thread-safe: it
// belongs to one party at a time.
class Task {
 public:
  Task() = default;
  Task(const Task&) = delete;
  Task& operator=(const Task&) = delete;
  virtual ~Task() = default;

  // The pool lets go of the task, which was not begun. Room is expected after
  // `retry_delay`.
  virtual void OnEnded(TaskResult end, Duration retry_delay) = 0;
  // The pool lets go of the task, which was worked and counted.
  virtual void OnDone() = 0;

  // Set by the Gate at admission. Of one that was parked: 0 until then.
  std::int64_t sequence = 0;
  TimePoint admitted_at{};

  // Set by the owner before Arrive.
  std::size_t method = 0;  // index of the counters that it belongs to
  std::size_t bytes = 0;
  // Where the pool is shared fairly (fair_queue.h): who sends it, as a number
  // of one's own choice, and, below, how much its class gets.
  std::uint64_t lane = 0;
  // What its call keeps beside it while it is parked, such as tasks that wait
  // behind it: counts in the waiting room.
  std::size_t bytes_behind = 0;
  TimePoint deadline = kForever;
  // Since when the caller waits, if that is before Arrive: policies measure
  // waits from then, so that a call with many tasks waits no longer than one.
  TimePoint waits_since = kForever;
  // Of a promised task: those with the same key, other than 0, are worked in
  // the order of their admission.
  std::uint64_t order_key = 0;
  // Told, once, if the task is parked and enters later; may be null. May be
  // told before Arrive has returned, and after the task was handed back. Must
  // live until it was told, or the task handed back with a sequence of 0: then
  // it will not be.
  AdmissionListener* listener = nullptr;

  Priority priority = Priority::kNormal;
  // Its caller is answered before it is worked: once queued it does not leave.
  bool promised = false;
  // Once admitted, it is kept from workers until Committed.
  bool needs_commit = false;
  // While it is queued, a later arrival of its method may take its place. Of no
  // effect on one that is promised or needs a commit.
  bool droppable = false;

  // Set by the processor: the result (one that is worked, kStoreUnavailable or
  // kCancelled), or that the task is to be worked again.
  TaskResult result = TaskResult::kFailed;
  bool again = false;

 private:
  friend class DroppableTasks;
  friend class FairQueue;
  friend class Gate;
  friend class TaskList;

  enum class Place : std::uint8_t {
    kOutside,
    kWaiting,
    kCommitting,
    kQueued,
    kInWork,
  };

  Place place_ = Place::kOutside;
  TimePoint parked_until_ = kForever;
  TimePoint taken_at_{};
  std::uint64_t arrival_ = 0;  // order in the Gate
  Lane* lane_ = nullptr;       // while it waits, or is queued
  Task* previous_ = nullptr;
  Task* next_ = nullptr;
  Task* older_ = nullptr;  // of those that may be dropped
  Task* newer_ = nullptr;
};

}  // namespace sluice

#endif  // SLUICE_POOL_TASK_H_
