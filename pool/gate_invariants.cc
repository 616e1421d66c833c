// Checks the promises of gate.h.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "pool/gate.h"

namespace sluice {

void Gate::CheckAfterEvent() {
  if (!kChecks) return;
  // A check looks at all tasks, and simulations have millions of events. A
  // small pool is checked after each of its first events, and later after every
  // 64th; a large pool after every 1024th.
  constexpr std::size_t kSmall = 64;
  constexpr std::uint64_t kFirst = 10'000;
  const bool small =
      queued_ + queue_.waiting() <= kSmall && queue_.lanes_kept() <= kSmall;
  ++events_;
  if (small ? events_ > kFirst && events_ % 64 != 0 : events_ % 1024 != 0) {
    return;
  }
  const std::string broken = CheckInvariants();
  if (!broken.empty()) CheckFailed(__FILE__, __LINE__, broken.c_str());
}

std::string Gate::CheckInvariants() {
  for (const std::string& broken :
       {CheckBounds(), queue_.CheckInvariants(),
        order_.CheckInvariants(KeyHolders()), eviction_.CheckInvariants(),
        CheckTasks(), CheckCounters()}) {
    if (!broken.empty()) return broken;
  }
  const Task* next = NextToAdmit();
  if (next != nullptr) return "a task is parked although there is room for it";
  if (queue_.waiting() > 0 && queued_ + unread_ + in_work_ == 0) {
    return "a task is parked although nothing is inside";
  }
  if (closed_ && queue_.waiting() > 0) return "a task is parked while closed";
  if (paused_ && !circuit_.failing()) return "paused, but nothing has failed";
  if (probe_ != nullptr && !circuit_.failing()) {
    return "a probe, but the circuit is closed";
  }
  if (probe_ != nullptr && probe_->place_ != Task::Place::kInWork) {
    return "a probe that is not in work";
  }
  if (batches_in_work_ > in_work_ ||
      (batches_in_work_ == 0) != (in_work_ == 0)) {
    return "the batches in work differ from the tasks in work";
  }
  return "";
}

std::string Gate::CheckBounds() {
  const Inside now = {.queued = queued_,
                      .held_bytes = held_bytes_,
                      .waiting = queue_.waiting(),
                      .waiting_bytes = queue_.waiting_bytes()};
  if (limits_waived_) allowed_ = now;
  limits_waived_ = false;
  // An excess over a limit may remain until it is worked off, but must not
  // grow.
  if (now.queued > std::max(limits_.capacity, allowed_.queued)) {
    return absl::StrCat("more queued than `capacity`: ", now.queued);
  }
  if (now.held_bytes > std::max(limits_.capacity_bytes, allowed_.held_bytes) &&
      queued_ + in_work_ > 1) {
    return absl::StrCat("more bytes than `capacity_bytes`: ", now.held_bytes);
  }
  if (now.waiting > std::max(limits_.waiting_max, allowed_.waiting)) {
    return absl::StrCat("more parked than `waiting_max`: ", now.waiting);
  }
  if (now.waiting_bytes >
          std::max(limits_.waiting_max_bytes, allowed_.waiting_bytes) &&
      now.waiting > 1) {
    return absl::StrCat("more bytes parked than `waiting_max_bytes`: ",
                        now.waiting_bytes);
  }
  // The next check accepts at most the present excess, such as a single task
  // that is larger than a limit.
  allowed_ = now;
  return "";
}

std::string Gate::CheckTasks() const {
  struct Sum {
    std::size_t tasks = 0;
    std::size_t bytes = 0;
  };
  absl::flat_hash_map<const Lane*, Sum> lanes;
  absl::flat_hash_map<std::uint64_t, std::uint64_t> last_of_key;
  std::size_t evictable = 0;
  std::string broken;
  const auto add = [&](const Task* task) {
    Sum& sum = lanes[task->lane_];
    ++sum.tasks;
    sum.bytes += task->bytes;
    if (task->evictable_) ++evictable;
    if (task->lane_ == nullptr || !queue_.IsLaneOf(*task, *task->lane_)) {
      broken = "a task is queued in another lane than its key";
    }
    if (!task->promised && ResultsUnavailable()) {
      broken = "a caller waits for a result while the circuit is open";
    }
  };
  if (!committing_.CheckInvariants()) {
    return "a broken list of committing tasks";
  }
  const Task* before = nullptr;
  committing_.ForEach([&](const Task* task) {
    add(task);
    if (task->place_ != Task::Place::kCommitting || !task->needs_commit) {
      broken = "a task is listed as committing and is not";
    }
    if (before != nullptr && before->sequence >= task->sequence) {
      broken = "committing tasks are out of order";
    }
    before = task;
  });
  // Tasks of one key must be in the order of their admission. queued() lists
  // deferred tasks before tasks that can be taken.
  for (const Task* task : queued()) {
    add(task);
    if (task->order_key == 0) continue;
    const auto [last, first] =
        last_of_key.try_emplace(task->order_key, task->order_);
    if (!first && last->second >= task->order_) {
      broken =
          absl::StrCat("tasks of key ", task->order_key, " are out of order");
    }
    last->second = task->order_;
  }
  for (const Expiry& delayed : delayed_) {
    const Task* task = delayed.task;
    if (task->place_ != Task::Place::kDelayed || !task->promised ||
        task->again_at != delayed.at) {
      broken = "a task is listed as delayed and is not";
    }
  }
  std::size_t expiring = 0;
  for (const Task* task : queue_.Waiting()) {
    if (task->lane_ == nullptr || !queue_.IsLaneOf(*task, *task->lane_)) {
      broken = "a task is parked in another lane than its key";
    }
    if (!task->promised && ResultsUnavailable()) {
      broken = "a caller is parked for a result while the circuit is open";
    }
    if (task->parked_until_ == kForever) continue;
    ++expiring;
    if (!expiries_.contains(
            {task->parked_until_, task->order_, const_cast<Task*>(task)})) {
      broken = "the wait of a parked task does not expire";
    }
  }
  if (expiring != expiries_.size()) broken = "a wait expires of no parked task";
  queue_.ForEachLane([&](const Lane& lane) {
    const Sum sum = lanes[&lane];
    if (lane.depth != sum.tasks || lane.bytes != sum.bytes) {
      broken = absl::StrCat("lane ", lane.key.id, " counts ", lane.depth,
                            " tasks of ", lane.bytes, " bytes, but has ",
                            sum.tasks, " of ", sum.bytes);
    }
  });
  std::size_t can_evict = 0;
  for (std::size_t method = 0; method < counters_.size(); ++method) {
    can_evict += eviction_.InAnyLane(method).tasks;
  }
  if (evictable != can_evict) broken = "eviction lists other tasks than queued";
  return broken;
}

std::vector<const Task*> Gate::KeyHolders() const {
  std::vector<const Task*> holders = working_.Content();
  for (const Expiry& delayed : delayed_) holders.push_back(delayed.task);
  return holders;
}

std::string Gate::CheckCounters() const {
  // Tasks that are parked, queued or in work, counted from the lists.
  std::vector<MethodCounters> inside(counters_.size());
  absl::flat_hash_map<std::uint64_t, std::size_t> of_key;
  std::size_t held_bytes = 0;
  const auto count = [&](const Task* task, std::size_t MethodCounters::*place) {
    ++(inside[task->method].*place);
    if (task->order_key != 0) ++of_key[task->order_key];
    if (place != &MethodCounters::waiting) held_bytes += task->bytes;
  };
  for (const Task* task : queue_.Waiting()) {
    count(task, &MethodCounters::waiting);
  }
  for (const Task* task : queued()) count(task, &MethodCounters::queued);
  for (const Task* task : committing_.Content()) {
    count(task, &MethodCounters::queued);
  }
  for (const Task* task : working_.Content()) {
    count(task, &MethodCounters::in_work);
  }

  std::size_t waiting = 0;
  std::size_t queued = 0;
  std::size_t in_work = 0;
  for (std::size_t method = 0; method < counters_.size(); ++method) {
    const MethodCounters& counters = counters_[method];
    if (!counters.Balanced()) {
      return absl::StrCat("counters of method ", method, " do not balance");
    }
    for (std::size_t i = 0; i < kTaskResults; ++i) {
      const auto result = static_cast<TaskResult>(i);
      if ((IsWorked(result) && counters.not_admitted[result] > 0) ||
          (OutcomeName(result).empty() && counters.completed[result] > 0)) {
        return absl::StrCat("method ", method, " counts an impossible result");
      }
    }
    if (counters.waiting != inside[method].waiting ||
        counters.queued != inside[method].queued ||
        (kChecks && counters.in_work != inside[method].in_work)) {
      return absl::StrCat("counters of method ", method,
                          " differ from what is inside");
    }
    waiting += counters.waiting;
    queued += counters.queued;
    in_work += counters.in_work;
  }
  if (waiting != queue_.waiting() || queued != queued_ || in_work != in_work_) {
    return "counters differ from what is inside";
  }
  if (!kChecks) return held_bytes_ >= held_bytes ? "" : "wrong sum of bytes";
  if (held_bytes_ != held_bytes) {
    return absl::StrCat("wrong sum of bytes: ", held_bytes_, " instead of ",
                        held_bytes);
  }
  return queue_.CheckKeys(of_key);
}

}  // namespace sluice
