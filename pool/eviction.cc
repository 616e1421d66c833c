#include "pool/eviction.h"

#include "absl/strings/str_cat.h"
#include "base/check.h"

namespace sluice {
namespace {

constexpr LaneKey kCommonLane;

}  // namespace

void Eviction::Add(Task* task) {
  SLUICE_DCHECK(task->lane_ != nullptr);
  SLUICE_DCHECK(!task->evictable_);
  if (!MayEvict(*task)) return;
  const LaneKey& lane = task->lane_->key;
  Tasks& tasks = lane == kCommonLane ? in_common_lane_[task->method]
                                     : in_lane_[{task->method, lane}];
  task->evictable_ = true;
  task->older_ = tasks.newest;
  task->newer_ = nullptr;
  (tasks.newest != nullptr ? tasks.newest->newer_ : tasks.oldest) = task;
  tasks.newest = task;
  ++tasks.size.tasks;
  tasks.size.bytes += task->bytes;
  ++of_method_[task->method].tasks;
  of_method_[task->method].bytes += task->bytes;
}

void Eviction::Remove(Task* task) {
  // Check the flag, not MayEvict: a task that returned from work may be
  // evictable by its traits, but was not added again.
  if (!task->evictable_) return;
  task->evictable_ = false;
  SLUICE_DCHECK(task->lane_ != nullptr);
  const LaneKey& lane = task->lane_->key;
  const auto found = lane == kCommonLane
                         ? in_lane_.end()
                         : in_lane_.find(MethodAndLane{task->method, lane});
  SLUICE_DCHECK(lane == kCommonLane || found != in_lane_.end());
  Tasks& tasks =
      lane == kCommonLane ? in_common_lane_[task->method] : found->second;
  (task->older_ != nullptr ? task->older_->newer_ : tasks.oldest) =
      task->newer_;
  (task->newer_ != nullptr ? task->newer_->older_ : tasks.newest) =
      task->older_;
  --tasks.size.tasks;
  tasks.size.bytes -= task->bytes;
  --of_method_[task->method].tasks;
  of_method_[task->method].bytes -= task->bytes;
  if (found != in_lane_.end() && tasks.size.tasks == 0) in_lane_.erase(found);
}

const Eviction::Tasks* Eviction::Find(std::size_t method,
                                      const LaneKey& lane) const {
  if (lane == kCommonLane) return &in_common_lane_[method];
  const auto found = in_lane_.find(MethodAndLane{method, lane});
  return found == in_lane_.end() ? nullptr : &found->second;
}

Task* Eviction::Oldest(std::size_t method, const LaneKey& lane) const {
  const Tasks* tasks = Find(method, lane);
  return tasks == nullptr ? nullptr : tasks->oldest;
}

Eviction::Evictable Eviction::In(std::size_t method,
                                 const LaneKey& lane) const {
  const Tasks* tasks = Find(method, lane);
  return tasks == nullptr ? Evictable{} : tasks->size;
}

std::string Eviction::CheckInvariants() const {
  std::vector<Evictable> sums(of_method_.size());
  std::string broken;
  const auto check = [&](std::size_t method, const LaneKey& lane,
                         const Tasks& tasks) {
    Evictable size;
    const Task* older = nullptr;
    for (const Task* task = tasks.oldest; task != nullptr;
         older = task, task = task->newer_) {
      ++size.tasks;
      size.bytes += task->bytes;
      if (!task->evictable_ || !MayEvict(*task) || task->method != method ||
          task->older_ != older || task->lane_ == nullptr ||
          !(task->lane_->key == lane) ||
          (task->place_ != Task::Place::kQueued &&
           task->place_ != Task::Place::kDeferred)) {
        broken = absl::StrCat("eviction: method ", method,
                              " lists a task that cannot be evicted");
      }
      if (older != nullptr && older->order_ >= task->order_) {
        broken = "eviction: the oldest does not come first";
      }
    }
    if (older != tasks.newest || size.tasks != tasks.size.tasks ||
        size.bytes != tasks.size.bytes) {
      broken = absl::StrCat("eviction: method ", method, " counts ",
                            tasks.size.tasks, " tasks, lists ", size.tasks);
    }
    sums[method].tasks += size.tasks;
    sums[method].bytes += size.bytes;
  };
  for (std::size_t method = 0; method < in_common_lane_.size(); ++method) {
    check(method, kCommonLane, in_common_lane_[method]);
  }
  for (const auto& [key, tasks] : in_lane_) {
    check(key.first, key.second, tasks);
    if (tasks.size.tasks == 0) broken = "eviction: keeps an empty lane";
  }
  for (std::size_t method = 0; method < sums.size(); ++method) {
    if (sums[method].tasks != of_method_[method].tasks ||
        sums[method].bytes != of_method_[method].bytes) {
      broken = absl::StrCat("eviction: wrong sums of method ", method);
    }
  }
  return broken;
}

}  // namespace sluice
