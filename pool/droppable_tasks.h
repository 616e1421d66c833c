// The tasks in a queue that may be dropped for an arrival of their method. They
// are linked through themselves, beside the queue's own list, so that the
// oldest is found, and any leaves, in constant time and nothing is allocated.

#ifndef SLUICE_POOL_DROPPABLE_TASKS_H_
#define SLUICE_POOL_DROPPABLE_TASKS_H_

#include <cstddef>
#include <vector>

#include "pool/task.h"

namespace sluice {

// Owns nothing. Not thread-safe.
class DroppableTasks {
 public:
  explicit DroppableTasks(std::size_t methods) : methods_(methods) {}

  // The first that was added of those of the method that are here; null where
  // none is.
  Task* oldest(std::size_t method) const { return methods_[method].oldest; }
  // Of all of the method that are here.
  std::size_t bytes(std::size_t method) const { return methods_[method].bytes; }

  void Add(Task* task) {
    Tasks& tasks = methods_[task->method];
    task->older_ = tasks.newest;
    task->newer_ = nullptr;
    (tasks.newest != nullptr ? tasks.newest->newer_ : tasks.oldest) = task;
    tasks.newest = task;
    tasks.bytes += task->bytes;
  }

  // `task` must be here.
  void Remove(Task* task) {
    Tasks& tasks = methods_[task->method];
    (task->older_ != nullptr ? task->older_->newer_ : tasks.oldest) =
        task->newer_;
    (task->newer_ != nullptr ? task->newer_->older_ : tasks.newest) =
        task->older_;
    tasks.bytes -= task->bytes;
  }

 private:
  struct Tasks {
    Task* oldest = nullptr;
    Task* newest = nullptr;
    std::size_t bytes = 0;
  };

  std::vector<Tasks> methods_;
};

}  // namespace sluice

#endif  // SLUICE_POOL_DROPPABLE_TASKS_H_
