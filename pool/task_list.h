// A first-in first-out list of tasks. The list is intrusive, so that any task
// can be removed in constant time and nothing is allocated.

#ifndef SLUICE_POOL_TASK_LIST_H_
#define SLUICE_POOL_TASK_LIST_H_

#include <cstddef>
#include <vector>

#include "base/check.h"
#include "pool/task.h"

namespace sluice {

// Owns no task. A task is in at most one list at a time.
class TaskList {
 public:
  bool empty() const { return size_ == 0; }
  std::size_t size() const { return size_; }
  Task* front() const { return front_; }
  Task* back() const { return back_; }
  // Returns the tasks in order.
  std::vector<const Task*> Content() const {
    std::vector<const Task*> tasks;
    tasks.reserve(size_);
    ForEach([&](const Task* task) { tasks.push_back(task); });
    return tasks;
  }
  // Calls `visit` with each task, in order. `visit` may remove its argument.
  template <typename Visit>
  void ForEach(Visit visit) const {
    for (Task *task = front_, *next; task != nullptr; task = next) {
      next = task->next_;
      visit(task);
    }
  }

  // Appends `task`, which must be in no list.
  void PushBack(Task* task) {
    SLUICE_DCHECK(task != nullptr && IsUnlinked(*task));
    task->previous_ = back_;
    (back_ != nullptr ? back_->next_ : front_) = task;
    back_ = task;
    ++size_;
  }

  // Prepends `task`, which must be in no list.
  void PushFront(Task* task) {
    SLUICE_DCHECK(task != nullptr && IsUnlinked(*task));
    task->next_ = front_;
    (front_ != nullptr ? front_->previous_ : back_) = task;
    front_ = task;
    ++size_;
  }

  // Moves all tasks of `other`, in their order, to the end of this list.
  void Append(TaskList* other) {
    SLUICE_DCHECK(other != this);
    if (other->empty()) return;
    other->front_->previous_ = back_;
    (back_ != nullptr ? back_->next_ : front_) = other->front_;
    back_ = other->back_;
    size_ += other->size_;
    *other = TaskList();
  }

  // Removes `task`, which must be in this list.
  void Remove(Task* task) {
    SLUICE_DCHECK(IsLinked(*task));
    (task->previous_ != nullptr ? task->previous_->next_ : front_) =
        task->next_;
    (task->next_ != nullptr ? task->next_->previous_ : back_) = task->previous_;
    task->previous_ = nullptr;
    task->next_ = nullptr;
    --size_;
  }

  // True if links and size agree. O(size).
  bool CheckInvariants() const {
    std::size_t count = 0;
    const Task* previous = nullptr;
    for (const Task* task = front_; task != nullptr && count <= size_;
         previous = task, task = task->next_) {
      if (task->previous_ != previous) return false;
      ++count;
    }
    return count == size_ && previous == back_;
  }

 private:
  // True if `task` has no neighbours and is not the only task of this list.
  // Does not notice if `task` is the only task of another list.
  bool IsUnlinked(const Task& task) const {
    return task.previous_ == nullptr && task.next_ == nullptr &&
           front_ != &task;
  }
  // True if the neighbours of `task`, or the ends of this list, point to
  // `task`. False if `task` is in no list, or is the only task of another list.
  bool IsLinked(const Task& task) const {
    return size_ > 0 &&
           (task.previous_ != nullptr ? task.previous_->next_ : front_) ==
               &task &&
           (task.next_ != nullptr ? task.next_->previous_ : back_) == &task;
  }

  Task* front_ = nullptr;
  Task* back_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace sluice

#endif  // SLUICE_POOL_TASK_LIST_H_
