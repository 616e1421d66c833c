// Queued tasks that a later arrival may evict, oldest first, by method and
// lane.
//
// Policies decide that an arrival evicts (Verdict::EvictOldest). This class
// knows which tasks can be evicted, how many there are, and in which order. An
// arrival evicts only tasks of its own method and its own lane, so that one
// sender cannot evict the tasks of another.
//
// The lists are intrusive: finding the oldest task and removing any task take
// constant time.

#ifndef SLUICE_POOL_EVICTION_H_
#define SLUICE_POOL_EVICTION_H_

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "pool/lane.h"
#include "pool/task.h"

namespace sluice {

// Owns no task. Not thread-safe: it belongs to a Gate. Uses memory for lanes
// that have evictable tasks.
class Eviction {
 public:
  struct Evictable {
    std::size_t tasks = 0;
    std::size_t bytes = 0;
  };

  explicit Eviction(std::size_t methods)
      : in_common_lane_(methods), of_method_(methods) {}

  // True if a later arrival may evict `task` while `task` is queued. False if
  // somebody was promised a result.
  static bool MayEvict(const Task& task) {
    return task.droppable && !task.promised && !task.needs_commit;
  }

  // Adds a task that has just entered the queue, as the newest of its method
  // and lane. Does nothing unless MayEvict(*task).
  void Add(Task* task);
  // Removes a task that leaves the queue. Does nothing if the task was not
  // added.
  void Remove(Task* task);

  // Returns the oldest task that an arrival of `method` in `lane` may evict;
  // null if there is none.
  Task* Oldest(std::size_t method, const LaneKey& lane) const;
  // Return the number and bytes of the tasks that an arrival of `method` may
  // evict, in `lane` or in any lane.
  Evictable In(std::size_t method, const LaneKey& lane) const;
  Evictable InAnyLane(std::size_t method) const { return of_method_[method]; }

  // Returns the first broken invariant; empty if all hold. O(tasks).
  std::string CheckInvariants() const;

 private:
  struct Tasks {
    Task* oldest = nullptr;
    Task* newest = nullptr;
    Evictable size;
  };
  using MethodAndLane = std::pair<std::size_t, LaneKey>;

  const Tasks* Find(std::size_t method, const LaneKey& lane) const;

  // Tasks by method in a pool that is not shared by lanes. Such a pool has only
  // the common lane, so that nothing is looked up or allocated.
  std::vector<Tasks> in_common_lane_;
  absl::flat_hash_map<MethodAndLane, Tasks> in_lane_;
  std::vector<Evictable> of_method_;
};

}  // namespace sluice

#endif  // SLUICE_POOL_EVICTION_H_
