// Keeps tasks of one key in order although several workers take batches: while
// a batch has tasks of a key, all other tasks of this key are deferred.

#ifndef SLUICE_POOL_KEY_ORDER_H_
#define SLUICE_POOL_KEY_ORDER_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "pool/task.h"
#include "pool/task_list.h"

namespace sluice {

// Owns no task. Not thread-safe: belongs to a Gate. Uses memory for the keys in
// work. Key 0 means no key: a task without a key is never deferred.
class KeyOrder {
 public:
  // Begins a new batch, to which the next claimed tasks belong.
  void BeginBatch() { ++batch_; }

  // Claims the task, which is in no list, for the current batch and returns
  // true. If another batch has tasks of its key, defers the task in a list of
  // this object and returns false.
  bool Claim(Task* task);

  // Removes the claimed task from work. If it was the last task in work of its
  // key, appends the deferred tasks of the key to `free`, in their order.
  void Release(const Task& task, TaskList* free);

  // Removes a deferred task.
  void Remove(Task* task);

  // Moves all deferred tasks to `free`, key by key, each key in its order.
  void ReleaseAll(TaskList* free);

  // Calls `visit` with each key in work and the number of its tasks that are in
  // work or deferred.
  template <typename Visit>
  void VisitInside(Visit visit) const {
    for (const auto& [id, key] : keys_) {
      visit(id, key.in_work + key.deferred.size());
    }
  }

  // Returns the deferred tasks, key by key, each key in its order.
  std::vector<Task*> Deferred() const;

  // Returns the first broken invariant; empty if all hold. `holders` are the
  // tasks that hold their key; tasks without a key are ignored. Without
  // assertions, `holders` is not checked. O(tasks).
  std::string CheckInvariants(std::span<const Task* const> holders) const;

 private:
  struct Key {
    std::uint64_t batch = 0;  // the batch that has tasks of the key
    std::size_t in_work = 0;
    TaskList deferred;
  };

  // Keys of the tasks in work.
  absl::flat_hash_map<std::uint64_t, Key> keys_;
  std::uint64_t batch_ = 0;
};

}  // namespace sluice

#endif  // SLUICE_POOL_KEY_ORDER_H_
