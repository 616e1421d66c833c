// A first-in first-out list of tasks, linked through the tasks themselves, so
// that one can leave from the middle in constant time and nothing is allocated.

#ifndef SLUICE_POOL_TASK_LIST_H_
#define SLUICE_POOL_TASK_LIST_H_

#include <cstddef>
#include <utility>
#include <vector>

#include "pool/task.h"

namespace sluice {

// Owns nothing. A task is in at most one list at a time.
class TaskList {
 public:
  bool empty() const { return size_ == 0; }
  std::size_t size() const { return size_; }
  Task* front() const { return front_; }
  Task* back() const { return back_; }
  // First come first.
  std::vector<const Task*> Content() const {
    std::vector<const Task*> tasks;
    tasks.reserve(size_);
    ForEach([&](const Task* task) { tasks.push_back(task); });
    return tasks;
  }
  // The same; `visit` may remove the task that it is given.
  template <typename Visit>
  void ForEach(Visit visit) const {
    for (Task *task = front_, *next; task != nullptr; task = next) {
      next = task->next_;
      visit(task);
    }
  }

  void PushBack(Task* task) {
    task->previous_ = back_;
    task->next_ = nullptr;
    (back_ != nullptr ? back_->next_ : front_) = task;
    back_ = task;
    ++size_;
  }

  void PushFront(Task* task) {
    task->previous_ = nullptr;
    task->next_ = front_;
    (front_ != nullptr ? front_->previous_ : back_) = task;
    front_ = task;
    ++size_;
  }

  // Takes over all of `other`, in their order, behind those that are here.
  void Append(TaskList* other) {
    if (other->empty()) return;
    other->front_->previous_ = back_;
    (back_ != nullptr ? back_->next_ : front_) = other->front_;
    back_ = other->back_;
    size_ += other->size_;
    *other = TaskList();
  }

  // The same, in front of those that are here.
  void Prepend(TaskList* other) {
    other->Append(this);
    *this = std::exchange(*other, TaskList());
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
