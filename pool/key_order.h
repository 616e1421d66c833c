// Keeps tasks of one key in order although several workers take batches: while
// a batch has tasks of a key, all other tasks of this key are deferred.

#ifndef SLUICE_POOL_KEY_ORDER_H_
#define SLUICE_POOL_KEY_ORDER_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "pool/task.h"
#include "pool/task_list.h"

namespace sluice {

// Owns no task. Not thread-safe: belongs to a Gate. Memory follows the keys in
// work. Key 0 means no key: a task without a key is never deferred.
class KeyOrder {
 public:
  // Tasks that are claimed from now on belong to a new batch.
  void BeginBatch() { ++batch_; }

  // Returns true if the task, which is in no list, joins the batch. Otherwise
  // another batch has tasks of its key, and the task is deferred: it is in a
  // list of this object from now on.
  bool Claim(Task* task);

  // The claimed task is in work no more. If it was the last of its key, appends
  // the deferred tasks of the key to `free`, in their order.
  void Release(const Task& task, TaskList* free);

  // Removes a task that is deferred.
  void Remove(Task* task);

  // Moves all deferred tasks to `free`, key by key, each key in its order.
  void ReleaseAll(TaskList* free);

  // Calls `visit` with each key in work, and how many tasks of it are in work
  // or deferred.
  template <typename Visit>
  void VisitInside(Visit visit) const {
    for (const auto& [id, key] : keys_) {
      visit(id, key.in_work + key.deferred.size());
    }
  }

  // The deferred tasks, key by key, each key in its order.
  std::vector<Task*> Deferred() const;

  // Returns the first broken invariant; empty if all hold. `in_work` is how
  // many tasks are in work, with a key or without. O(keys and deferred tasks).
  std::string CheckInvariants(std::size_t in_work) const;

 private:
  struct Key {
    std::uint64_t batch = 0;  // number of the batch with the tasks in work
    std::size_t in_work = 0;
    TaskList deferred;
  };

  // The keys of which a batch has tasks.
  absl::flat_hash_map<std::uint64_t, Key> keys_;
  std::uint64_t batch_ = 0;
};

}  // namespace sluice

#endif  // SLUICE_POOL_KEY_ORDER_H_
