#include "pool/fair_queue.h"

#include <algorithm>
#include <numeric>
#include <tuple>

#include "absl/strings/str_cat.h"
#include "base/check.h"

namespace sluice {
namespace {

// Length of one turn in a class's virtual time. Large enough to be divided
// among a million lanes, small enough that the time does not overflow for
// years.
constexpr std::uint64_t kTurn = std::uint64_t{1} << 20;

// Weight of the latest interval in the moving average of the intervals between
// two turns of a lane.
constexpr double kLatest = 1.0 / 16;

// Amount by which each turn advances a class's pass, so that classes get turns
// by their weights.
std::uint64_t Stride(Priority priority) {
  static_assert(kPriorityWeights[0] % kPriorityWeights[1] == 0);
  static_assert(kPriorityWeights[1] % kPriorityWeights[2] == 0);
  return kPriorityWeights[0] / kPriorityWeights[Index(priority)];
}

}  // namespace

bool FairQueue::AdmittedBefore::operator()(const Lane* a, const Lane* b) const {
  const auto rank = [](const Lane* lane) {
    return std::tuple(lane->standing.stands(), lane->depth,
                      lane->waiting.front()->order_);
  };
  return rank(a) < rank(b);
}

FairQueue::FairQueue() {
  for (std::size_t i = 0; i < kPriorities; ++i) {
    classes_[i].empty.key.priority = static_cast<Priority>(i);
    // Start at kBurst turns, because Begin subtracts as many from the time.
    classes_[i].now = kBurst * kTurn;
  }
}

void FairQueue::SetByLane(bool by_lane, const KeyOrder& order,
                          const TaskList& committing) {
  if (by_lane && !by_lane_) {
    // Keys were not tracked until now, so tasks whose key is unknown are in the
    // common lane. Count all keys anew. Later tasks of a key must join the lane
    // of the tasks inside, or they could overtake them.
    KeyLanes keys;
    const auto add = [&](std::uint64_t key, std::size_t count) {
      const LaneKey* lane = keys_.Find(key);
      keys.Add(key, lane != nullptr ? *lane : common_.key, count);
    };
    order.VisitInside(add);
    committing.ForEach([&](const Task* task) { add(task->order_key, 1); });
    for (const Task* task : Queued()) add(task->order_key, 1);
    for (const Task* task : Waiting()) add(task->order_key, 1);
    keys_ = std::move(keys);
  }
  by_lane_ = by_lane;
}

LaneKey FairQueue::KeyOf(const Task& task) const {
  if (const LaneKey* lane = keys_.Find(task.order_key)) return *lane;
  return by_lane_ ? LaneKey{task.priority, task.lane} : common_.key;
}

Lane* FairQueue::Find(const LaneKey& key) {
  if (key == common_.key) return &common_;
  const auto found = lanes_.find(key);
  return found == lanes_.end() ? &ClassOf(key.priority).empty : &found->second;
}

Lane* FairQueue::LaneOf(const Task& task) { return Find(KeyOf(task)); }

Lane* FairQueue::LaneOf(const LaneKey& key) {
  return Find(by_lane_ ? key : common_.key);
}

Lane* FairQueue::EmptyLane(Priority priority) {
  return by_lane_ ? &ClassOf(priority).empty : &common_;
}

Lane* FairQueue::Join(const Task& task) {
  const LaneKey key = KeyOf(task);
  Lane* lane = &common_;
  if (key != common_.key) {
    lane = &lanes_[key];
    lane->key = key;
  }
  if (lane->idle()) ++ClassOf(*lane).lanes;
  return lane;
}

void FairQueue::LeftBy(Lane* lane) {
  if (!lane->idle()) return;
  Class& in = ClassOf(*lane);
  --in.lanes;
  if (lane->remembered) {
    // The lane keeps its tag. Otherwise a sender could get more turns by
    // sending one task at a time.
    ForgetOld(&in);
  } else {
    Forget(lane);
  }
}

void FairQueue::Forget(Lane* lane) {
  if (!lane->idle() || lane == &common_) return;
  lanes_.erase(lane->key);
}

// The order of `waiting` depends on a lane's depth, standing queue and first
// parked task. The lane must not be in `waiting` while they change.
template <typename Change>
void FairQueue::Update(Lane* lane, Change change) {
  auto& waiting = ClassOf(*lane).waiting;
  if (!lane->waiting.empty()) waiting.Remove(lane);
  const bool stood = lane->standing.stands();
  change();
  if (lane->standing.stands() && !stood) ++lanes_standing_;
  if (!lane->standing.stands() && stood) --lanes_standing_;
  if (!lane->waiting.empty()) waiting.Add(lane);
}

std::size_t FairQueue::Ahead(const Lane& lane, std::size_t count,
                             std::size_t all) const {
  if (lane.taken_for_one > 0) {
    // Measured intervals include turns of tasks that arrive later than `task`
    // but are taken earlier, so `all` is no upper limit.
    return static_cast<std::size_t>(static_cast<double>(count + 1) *
                                    lane.taken_for_one) -
           1;
  }
  const Priority own = lane.key.priority;
  std::size_t weights = 0;
  for (std::size_t i = 0; i < kPriorities; ++i) {
    if (classes_[i].lanes > 0 || i == Index(own)) {
      weights += kPriorityWeights[i];
    }
  }
  const std::size_t weight = kPriorityWeights[Index(own)];
  const std::size_t lanes = ClassOf(own).lanes + (lane.idle() ? 1 : 0);
  // Turns of all lanes of all classes up to this task's turn, which is
  // included.
  const std::size_t turns =
      ((count + 1) * lanes * weights + weight - 1) / weight;
  return std::min(turns - 1, all);
}

std::size_t FairQueue::lanes() const {
  return std::accumulate(
      classes_.begin(), classes_.end(), std::size_t{0},
      [](std::size_t sum, const Class& c) { return sum + c.lanes; });
}

void FairQueue::Enter(const Task& task) {
  if (by_lane_) {
    keys_.Add(task.order_key, KeyOf(task));
  } else {
    keys_.AddIfKnown(task.order_key);
  }
}

void FairQueue::Reserve(Task* task) {
  SLUICE_DCHECK(task->lane_ == nullptr);
  Lane* lane = Join(*task);
  Update(lane, [&] { AddPlace(lane, task); });
}

void FairQueue::AddPlace(Lane* lane, Task* task) {
  task->lane_ = lane;
  ++lane->depth;
  lane->bytes += task->bytes;
  ++ClassOf(*lane).depth;
}

void FairQueue::Push(Task* task) {
  Lane* lane = task->lane_;
  SLUICE_DCHECK(lane != nullptr);
  task->order_ = pushed_++;
  task->returned_ = false;
  if (lane->queued.empty()) Begin(lane);
  lane->queued.PushBack(task);
  ++takeable_;
}

void FairQueue::PushFront(TaskList* tasks) {
  // Put tasks in front from the last to the first, to keep their order.
  while (!tasks->empty()) {
    Task* task = tasks->back();
    tasks->Remove(task);
    Lane* lane = task->lane_;
    SLUICE_DCHECK(lane != nullptr);
    task->returned_ = true;
    if (lane->queued.empty()) Begin(lane);
    lane->queued.PushFront(task);
    ++takeable_;
  }
}

void FairQueue::Begin(Lane* lane) {
  Class& in = ClassOf(*lane);
  // A class that had no task does not make up for the turns that it missed.
  if (in.takeable_lanes == 0) in.pass = std::max(in.pass, pass_);
  ++in.takeable_lanes;
  // The tag is part of the order of `remembered`: remove the lane first.
  if (lane->remembered) {
    in.remembered.Remove(lane);
    lane->remembered = false;
  }
  lane->tag = std::max(lane->tag, in.now - kBurst * kTurn);
  AddToTurns(lane);
}

void FairQueue::AddToTurns(Lane* lane) {
  lane->turn = turns_++;
  ClassOf(*lane).turns.Add(lane);
}

void FairQueue::End(Lane* lane) {
  Class& in = ClassOf(*lane);
  --in.takeable_lanes;
  in.turns.Remove(lane);
  lane->remembered = true;
  in.remembered.Add(lane);
}

void FairQueue::ForgetOld(Class* in) {
  while (!in->remembered.empty()) {
    Lane* lane = in->remembered.first();
    // A tag older than kBurst turns has no effect: Begin would replace it. If
    // nothing of the class is queued, there is no lane to be fair to.
    if (lane->tag + kBurst * kTurn > in->now && in->takeable_lanes > 0 &&
        in->remembered.size() <= kRememberedMax) {
      return;
    }
    in->remembered.Remove(lane);
    lane->remembered = false;
    Forget(lane);
  }
}

Task* FairQueue::Next() const {
  const Class* next = nullptr;
  for (const Class& other : classes_) {
    if (other.takeable_lanes == 0) continue;
    if (next == nullptr || other.pass < next->pass) next = &other;
  }
  return next == nullptr ? nullptr : next->turns.first()->queued.front();
}

void FairQueue::Waited(const Task& task, Duration waited, Duration target,
                       TimePoint now) {
  if (!by_lane_) return;
  Lane* lane = task.lane_;
  Update(lane, [&] {
    if (!lane->waiting.empty()) lane->standing.TurnedAway(now);
    lane->standing.Taken(waited, target, now);
  });
}

bool FairQueue::has_one_lane_left() const {
  std::size_t lanes = 0;
  for (const Class& in : classes_) lanes += in.takeable_lanes;
  return lanes == 1;
}

void FairQueue::UseTurn(const Task& task) {
  Lane* lane = task.lane_;
  SLUICE_DCHECK(lane != nullptr);
  Class& in = ClassOf(*lane);
  pass_ = in.pass;
  in.pass += Stride(lane->key.priority);
  MeasureTurns(lane);
  // The lane is still in `turns` or `remembered`, so the divisor is not 0.
  in.now = std::max(in.now, lane->tag) +
           kTurn / (in.takeable_lanes + in.remembered.size());
  auto& order = lane->remembered ? in.remembered : in.turns;
  order.Remove(lane);
  lane->tag += kTurn;
  lane->turn = turns_++;
  order.Add(lane);
}

void FairQueue::MeasureTurns(Lane* lane) {
  ++taken_;
  if (lane->last_taken > 0) {
    const auto interval = static_cast<double>(taken_ - lane->last_taken);
    lane->taken_for_one =
        lane->taken_for_one == 0
            ? interval
            : lane->taken_for_one + (interval - lane->taken_for_one) * kLatest;
  }
  lane->last_taken = taken_;
}

void FairQueue::Remove(Task* task) {
  Lane* lane = task->lane_;
  SLUICE_DCHECK(lane != nullptr);
  lane->queued.Remove(task);
  --takeable_;
  if (lane->queued.empty()) End(lane);
}

void FairQueue::Release(Task* task) {
  Lane* lane = task->lane_;
  SLUICE_DCHECK(lane != nullptr && lane->depth > 0);
  SLUICE_DCHECK_GE(lane->bytes, task->bytes);
  Update(lane, [&] {
    --lane->depth;
    lane->bytes -= task->bytes;
    if (lane->depth > 0) return;
    lane->standing.Emptied();
    lane->taken_for_one = 0;
    lane->last_taken = 0;
  });
  --ClassOf(*lane).depth;
  task->lane_ = nullptr;
  LeftBy(lane);
}

void FairQueue::Park(Task* task) {
  SLUICE_DCHECK(task->lane_ == nullptr);
  Lane* lane = Join(*task);
  task->lane_ = lane;
  Update(lane, [&] {
    lane->waiting.PushBack(task);
    lane->waiting_bytes += WaitingBytes(*task);
  });
  ++waiting_;
  waiting_bytes_ += WaitingBytes(*task);
}

void FairQueue::RemoveWaiting(Lane* lane, Task* task) {
  lane->waiting.Remove(task);
  lane->waiting_bytes -= WaitingBytes(*task);
  --waiting_;
  waiting_bytes_ -= WaitingBytes(*task);
}

void FairQueue::Unpark(Task* task) {
  Lane* lane = task->lane_;
  SLUICE_DCHECK(lane != nullptr);
  Update(lane, [&] { RemoveWaiting(lane, task); });
  task->lane_ = nullptr;
  LeftBy(lane);
}

void FairQueue::Admit(Task* task) {
  Lane* lane = task->lane_;
  SLUICE_DCHECK(lane != nullptr);
  Update(lane, [&] {
    RemoveWaiting(lane, task);
    AddPlace(lane, task);
  });
}

FairQueue::Lanes FairQueue::NextToAdmit() const {
  Lanes next;
  for (const Class& c : classes_) {
    if (!c.waiting.empty()) next.push_back(c.waiting.first());
  }
  // std::ranges::stable_sort allocates memory even for one element.
  if (next.size() < 2) return next;
  std::ranges::stable_sort(next, {}, [this](const Lane* lane) {
    return ClassDepth(*lane) * Stride(lane->key.priority);
  });
  return next;
}

bool FairQueue::AnyBefore(const Lane& lane) const {
  if (!by_lane_) return waiting_ > 0;
  if (!lane.waiting.empty()) return true;
  const auto& waiting = ClassOf(lane.key.priority).waiting;
  if (waiting.empty()) return false;
  // Between equal lanes, the task that was parked first decides.
  const Lane& first = *waiting.first();
  return std::tuple(first.standing.stands(), first.depth) <=
         std::tuple(lane.standing.stands(), lane.depth);
}

std::vector<Task*> FairQueue::Queued() const {
  std::vector<Task*> tasks;
  tasks.reserve(takeable_);
  for (const Class& c : classes_) {
    c.turns.ForEach([&](const Lane* lane) {
      lane->queued.ForEach([&](Task* task) { tasks.push_back(task); });
    });
  }
  return tasks;
}

std::vector<Task*> FairQueue::Waiting() const {
  std::vector<Task*> tasks;
  tasks.reserve(waiting_);
  for (const Class& c : classes_) {
    c.waiting.ForEach([&](const Lane* lane) {
      lane->waiting.ForEach([&](Task* task) { tasks.push_back(task); });
    });
  }
  std::ranges::sort(tasks, {}, [](const Task* task) { return task->order_; });
  return tasks;
}

std::string FairQueue::CheckInvariants() const {
  struct Sums {
    std::size_t takeable_lanes = 0;
    std::size_t remembered = 0;
    std::size_t lanes_waiting = 0;
    std::size_t lanes = 0;
    std::size_t depth = 0;
  };
  std::array<Sums, kPriorities> sums;
  std::size_t takeable = 0;
  std::size_t waiting = 0;
  std::size_t waiting_bytes = 0;
  std::size_t standing = 0;
  std::string broken;
  ForEachLane([&](const Lane& lane) {
    if (broken.empty()) broken = CheckLane(lane);
    Sums& sum = sums[Index(lane.key.priority)];
    takeable += lane.queued.size();
    waiting += lane.waiting.size();
    waiting_bytes += lane.waiting_bytes;
    standing += lane.standing.stands() ? 1 : 0;
    sum.takeable_lanes += lane.queued.empty() ? 0 : 1;
    sum.remembered += lane.remembered ? 1 : 0;
    sum.lanes_waiting += lane.waiting.empty() ? 0 : 1;
    sum.lanes += lane.idle() ? 0 : 1;
    sum.depth += lane.depth;
  });
  if (!broken.empty()) return broken;
  if (takeable != takeable_) return "fair queue: wrong number of tasks";
  if (waiting != waiting_ || waiting_bytes != waiting_bytes_) {
    return "fair queue: wrong sums of parked tasks";
  }
  if (standing != lanes_standing_) return "fair queue: wrong standing lanes";
  for (std::size_t i = 0; i < kPriorities; ++i) {
    const Class& c = classes_[i];
    const std::string name = absl::StrCat("fair queue: class ", i);
    if (c.takeable_lanes != sums[i].takeable_lanes ||
        c.turns.size() != sums[i].takeable_lanes) {
      return name + " has wrong lanes to take from";
    }
    if (c.remembered.size() != sums[i].remembered) {
      return name + " remembers wrong lanes";
    }
    // The common lane is remembered too, but does not count, because it needs
    // no memory.
    if (c.remembered.size() > kRememberedMax + c.lanes + 1) {
      return name + " remembers too many lanes";
    }
    if (c.waiting.size() != sums[i].lanes_waiting || c.lanes != sums[i].lanes ||
        c.depth != sums[i].depth) {
      return name + " has wrong sums";
    }
    if (!c.turns.CheckInvariants() || !c.remembered.CheckInvariants() ||
        !c.waiting.CheckInvariants()) {
      return name + " has lanes out of order";
    }
    if (!c.empty.idle()) return name + " has tasks in its empty lane";
  }
  return "";
}

std::string FairQueue::CheckLane(const Lane& lane) const {
  const std::string name = absl::StrCat("lane ", lane.key.id);
  if (!lane.queued.CheckInvariants() || !lane.waiting.CheckInvariants()) {
    return name + " has a broken list";
  }
  if (lane.depth < lane.queued.size()) return name + " is deeper than counted";
  if (&lane != &common_ && lane.idle() && !lane.remembered) {
    return name + " is kept for nothing";
  }
  if (lane.remembered && !lane.queued.empty()) {
    return name + " can be taken from and is remembered";
  }
  std::string broken;
  const Task* before = nullptr;
  lane.queued.ForEach([&](const Task* task) {
    if (task->place_ != Task::Place::kQueued || task->lane_ != &lane) {
      broken = name + " lists a task that is not queued in it";
    }
    // Returned tasks are at the front, in any order. All other tasks are in
    // order of arrival.
    if (before != nullptr && !before->returned_ &&
        (task->returned_ || before->order_ >= task->order_)) {
      broken = name + " has queued tasks out of order";
    }
    before = task;
  });
  std::size_t waiting_bytes = 0;
  before = nullptr;
  lane.waiting.ForEach([&](const Task* task) {
    if (task->place_ != Task::Place::kParked || task->lane_ != &lane ||
        task->sequence != 0) {
      broken = name + " lists a task that is not parked in it";
    }
    if (before != nullptr && before->order_ >= task->order_) {
      broken = name + " has parked tasks out of order";
    }
    before = task;
    waiting_bytes += WaitingBytes(*task);
  });
  if (waiting_bytes != lane.waiting_bytes) {
    return name + " has wrong bytes of parked tasks";
  }
  return broken;
}

}  // namespace sluice
