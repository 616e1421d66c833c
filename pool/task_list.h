// A first-in first-out list of tasks, linked through the tasks themselves, so
// that one can leave from the middle in constant time and nothing is allocated.

#ifndef SLUICE_POOL_TASK_LIST_H_
#define SLUICE_POOL_TASK_LIST_H_

#include <cstddef>
#include <vector>

#include "pool/task.h"

namespace sluice {

// Owns nothing. A task is in at most one list at a time.
class TaskList {
 public:
  bool empty() const { return size_ == 0; }
  std::size_t size() const { return size_; }
  Task* front() const { return front_; }
  // First come first.
  std::vector<const Task*> Content() const {
    std::vector<const Task*> tasks;
    tasks.reserve(size_);
    for (const Task* task = front_; task != nullptr; task = task->next_) {
      tasks.push_back(task);
    }
    return tasks;
  }

  void PushBack(Task* task) {
    task->previous_ = back_;
    task->next_ = nullptr;
    (back_ != nullptr ? back_->next_ : front_) = task;
    back_ = task;
    ++size_;
  }

  // `task` must be in this list.
  void Remove(Task* task) {
    (task->previous_ != nullptr ? task->previous_->next_ : front_) =
        task->next_;
    (task->next_ != nullptr ? task->next_->previous_ : back_) = task->previous_;
    --size_;
  }

 private:
  Task* front_ = nullptr;
  Task* back_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace sluice

#endif  // SLUICE_POOL_TASK_LIST_H_
