#include "pool/fair_queue.h"

#include <algorithm>
#include <numeric>
#include <tuple>

namespace sluice {
namespace {

// A turn in a class's virtual time: so much that it can be divided among a
// million lanes, and so little that the time does not overflow for years.
constexpr std::uint64_t kTurn = std::uint64_t{1} << 20;

// The weight of the latest of the intervals between a lane's turns.
constexpr double kLatest = 1.0 / 16;

// What a turn costs a class, so that classes get work by their weights.
std::uint64_t Stride(Priority priority) {
  static_assert(kPriorityWeights[0] % kPriorityWeights[1] == 0);
  static_assert(kPriorityWeights[1] % kPriorityWeights[2] == 0);
  return kPriorityWeights[0] / kPriorityWeights[Index(priority)];
}

}  // namespace

bool FairQueue::LetInBefore::operator()(const Lane* a, const Lane* b) const {
  const auto rank = [](const Lane* lane) {
    return std::tuple(lane->standing.stands(), lane->depth,
                      lane->waiting.front()->arrival_);
  };
  return rank(a) < rank(b);
}

FairQueue::FairQueue() {
  for (std::size_t i = 0; i < kPriorities; ++i) {
    classes_[i].empty.key.priority = static_cast<Priority>(i);
    classes_[i].now = kBurst * kTurn;
  }
}

void FairQueue::SetByLane(bool by_lane, const KeyOrder& order,
                          const TaskList& committing) {
  if (by_lane && !by_lane_) {
    // Until now, all whose key was not known came into the common lane.
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
  if (lane->away) {
    ForgetOld(&in);
  } else {
    Forget(lane);
  }
}

void FairQueue::Forget(Lane* lane) {
  if (!lane->idle() || lane == &common_) return;
  lanes_.erase(lane->key);
}

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
    // Others that come later have theirs before it, too.
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
  // Turns of all lanes of all classes, up to and with its own.
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
  if (lane->queued.empty()) Begin(lane);
  lane->queued.PushBack(task);
  ++takeable_;
}

void FairQueue::PushFront(TaskList* tasks) {
  while (!tasks->empty()) {
    Task* task = tasks->back();
    tasks->Remove(task);
    Lane* lane = task->lane_;
    if (lane->queued.empty()) Begin(lane);
    lane->queued.PushFront(task);
    ++takeable_;
  }
}

void FairQueue::Begin(Lane* lane) {
  Class& in = ClassOf(*lane);
  if (in.takeable_lanes == 0) in.pass = std::max(in.pass, pass_);
  ++in.takeable_lanes;
  if (lane->away) {
    lane->away = false;
    in.away.Remove(lane);
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
  lane->away = true;
  in.away.Add(lane);
}

void FairQueue::ForgetOld(Class* in) {
  while (!in->away.empty()) {
    Lane* lane = in->away.first();
    // With nothing queued there is nobody to be fair to.
    if (lane->tag + kBurst * kTurn > in->now && in->takeable_lanes > 0 &&
        in->away.size() <= kRememberedMax) {
      return;
    }
    lane->away = false;
    in->away.Remove(lane);
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

void FairQueue::UseTurn(const Task& task) {
  Lane* lane = task.lane_;
  Class& in = ClassOf(*lane);
  pass_ = in.pass;
  in.pass += Stride(lane->key.priority);
  MeasureTurns(lane);
  in.now = std::max(in.now, lane->tag) +
           kTurn / (in.takeable_lanes + in.away.size());
  auto& order = lane->away ? in.away : in.turns;
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
  lane->queued.Remove(task);
  --takeable_;
  if (lane->queued.empty()) End(lane);
}

void FairQueue::Release(Task* task) {
  Lane* lane = task->lane_;
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
  Update(lane, [&] { RemoveWaiting(lane, task); });
  task->lane_ = nullptr;
  LeftBy(lane);
}

void FairQueue::LetIn(Task* task) {
  Lane* lane = task->lane_;
  Update(lane, [&] {
    RemoveWaiting(lane, task);
    AddPlace(lane, task);
  });
}

FairQueue::Lanes FairQueue::NextToLetIn() const {
  Lanes next;
  for (const Class& c : classes_) {
    if (!c.waiting.empty()) next.push_back(c.waiting.first());
  }
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
  std::ranges::sort(tasks, {}, [](const Task* task) { return task->arrival_; });
  return tasks;
}

}  // namespace sluice
