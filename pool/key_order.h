// Keeps tasks of the same key in order although several workers take batches:
// while a batch has tasks of a key, all others of that key stand aside.

#ifndef SLUICE_POOL_KEY_ORDER_H_
#define SLUICE_POOL_KEY_ORDER_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "pool/task.h"
#include "pool/task_list.h"

namespace sluice {

// Owns no task. Memory follows the keys in work.
class KeyOrder {
 public:
  // From now on, what is claimed belongs to one more batch.
  void BeginBatch() { ++batch_; }

  // Whether the task, which is in no list, may join the batch; otherwise it
  // stands aside from now on. One without a key always may.
  bool Claim(Task* task);

  // The task is in work no more. Where it was the last of its key, those that
  // stood aside for it are appended to `free`, in their order.
  void Release(const Task& task, TaskList* free);

  // Ends the standing aside of all, wherever they belong in the order.
  void ReleaseAll(TaskList* free);

  // Calls `visit` with each key in work, and how many of it are in work or
  // stand aside.
  template <typename Visit>
  void VisitInside(Visit visit) const {
    for (const auto& [id, key] : keys_) {
      visit(id, key.in_work + key.aside.size());
    }
  }

  // For reports: those that stand aside.
  std::vector<const Task*> Aside() const;

 private:
  struct Key {
    std::uint64_t batch = 0;  // the one that has it
    std::size_t in_work = 0;
    TaskList aside;
  };

  absl::flat_hash_map<std::uint64_t, Key> keys_;
  std::uint64_t batch_ = 0;
};

}  // namespace sluice

#endif  // SLUICE_POOL_KEY_ORDER_H_
