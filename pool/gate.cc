#include "pool/gate.h"

#include <algorithm>
#include <chrono>

#include "base/check.h"

namespace sluice {
namespace {

// A refused caller is told to come back when room is expected, within these.
constexpr Duration kRetryDelayMin = std::chrono::milliseconds(50);
constexpr Duration kRetryDelayMax = ReturningCallers::kLongest;
// While nothing is known of the rate, and when the server goes away.
constexpr Duration kRetryDelayUnknown = std::chrono::seconds(1);

// The share of an arrival's time that a predicted wait may take: predictions
// err.
constexpr double kTrust = 0.8;
// Waiting up to this is as it should be.
constexpr Duration kTargetWait = std::chrono::milliseconds(50);

Duration ToDuration(double seconds, Duration most) {
  return std::chrono::duration_cast<Duration>(
      std::min(std::chrono::duration<double>(seconds),
               std::chrono::duration<double>(most)));
}

Admission Dropped() {
  return {.kind = Admission::Kind::kEnded, .result = TaskResult::kDropped};
}

// Whether `bytes` fit beside those `taken`; written so that nothing overflows.
bool Fits(std::size_t bytes, std::size_t taken, std::size_t limit) {
  return taken <= limit && bytes <= limit - taken;
}

}  // namespace

bool MethodCounters::Balanced() const {
  return received == admitted + not_admitted.Sum() + waiting &&
         admitted == completed.Sum() + queued + in_work;
}

Gate::Gate(const GateLimits& limits, std::size_t methods,
           std::atomic<std::int64_t>* sequence, std::uint32_t seed)
    : sequence_(sequence),
      limits_(limits),
      droppable_(methods),
      random_(seed),
      counters_(methods) {
  queue_.SetByLane(limits.by_lane, order_, committing_);
}

Admission Gate::Arrive(Task* task, const AdmissionPolicy& policy, TimePoint now,
                       GateEvents* events) {
  MethodCounters& counters = counters_[task->method];
  ++counters.received;
  std::optional<Verdict> verdict;
  Admission admission =
      Decide({.now = std::min(now, task->waits_since),
              .deadline = task->deadline,
              .bytes = task->bytes,
              .bytes_behind = task->bytes_behind,
              .promised = task->promised,
              .priority = task->priority,
              .lane = task->lane},
             task->method, queue_.LaneOf(*task), policy, now, &verdict);
  CountShadow(verdict, &counters);
  switch (admission.kind) {
    case Admission::Kind::kAdmitted:
      if (verdict.has_value()) EvictFor(*task, events);
      Admit(task, now);
      admission.sequence = task->sequence;
      break;
    case Admission::Kind::kParked:
      Park(task, verdict->until);
      break;
    case Admission::Kind::kEnded:
      ++counters.not_admitted[admission.result];
      break;
  }
  return admission;
}

std::optional<Admission> Gate::TurnAway(const Arrival& arrival,
                                        std::size_t method,
                                        const AdmissionPolicy& policy) {
  Lane* lane = arrival.lane.has_value()
                   ? queue_.LaneOf({arrival.priority, *arrival.lane})
                   : queue_.EmptyLane(arrival.priority);
  std::optional<Verdict> verdict;
  const Admission admission =
      Decide(arrival, method, lane, policy, arrival.now, &verdict);
  if (admission.kind != Admission::Kind::kEnded) return std::nullopt;
  CountArrival(method, admission.result);
  CountShadow(verdict, &counters_[method]);
  return admission;
}

void Gate::CountArrival(std::size_t method, TaskResult result) {
  MethodCounters& counters = counters_[method];
  ++counters.received;
  if (IsWorked(result)) {
    ++counters.admitted;
    ++counters.completed[result];
  } else {
    ++counters.not_admitted[result];
  }
}

void Gate::Restore(Task* task, TimePoint now) {
  ++counters_[task->method].received;
  queue_.Enter(*task);
  queue_.Reserve(task);
  CountAdmitted(task, now);
  task->place_ = Task::Place::kQueued;
  queue_.Push(task);
}

void Gate::Committed(std::span<Task* const> tasks) {
  for (Task* task : tasks) {
    committing_.Remove(task);
    task->place_ = Task::Place::kQueued;
    queue_.Push(task);
  }
}

void Gate::CommitFailed(std::span<Task* const> tasks, TimePoint now,
                        GateEvents* events) {
  for (Task* task : tasks) {
    committing_.Remove(task);
    LeaveQueue(task, TaskResult::kStoreUnavailable);
  }
  LetWaitingIn(now, events);
}

void Gate::Take(std::size_t max, TimePoint now, std::vector<Task*>* batch,
                GateEvents* events) {
  if (ready()) {
    TakeBatch(batch->size() + (circuit_.open() ? 1 : max), now, batch, events);
  }
  // Also where nothing is taken: Restore may have changed whose turn it is.
  LetWaitingIn(now, events);
  if (backlog() > 0) return;
  standing_.Emptied();
  service_rate_.Emptied();
  // What is committing may have been all that a standing queue takes.
  LetWaitingIn(now, events);
}

void Gate::TakeBatch(std::size_t size_max, TimePoint now,
                     std::vector<Task*>* batch, GateEvents* events) {
  const Duration target = target_wait();
  const Duration takes = service_rate_.batch();
  order_.BeginBatch();
  while (batch->size() < size_max && !queue_.empty()) {
    Task* task = queue_.Next();
    if (!task->promised) {
      const Duration waited = now - task->admitted_at;
      standing_.Taken(waited, target, now);
      queue_.Waited(*task, waited, target, now);
      if (TooLate(takes, task->deadline, now)) {
        EndQueued(task, TaskResult::kHopeless, events);
        continue;
      }
    }
    queue_.Remove(task);
    if (!order_.Claim(task)) continue;
    if (MayBeDropped(*task)) droppable_.Remove(task);
    queue_.UseTurn(*task);
    queue_.Release(task);
    task->place_ = Task::Place::kInWork;
    task->taken_at_ = now;
    --counters_[task->method].queued;
    --queued_;
    ++counters_[task->method].in_work;
    ++in_work_;
    batch->push_back(task);
  }
  probing_ = circuit_.failing() && !batch->empty();
}

void Gate::Done(std::span<Task* const> batch, StoreState store, TimePoint now,
                GateEvents* events) {
  if (!batch.empty()) {
    service_rate_.Done(batch.size(), now - batch.front()->taken_at_,
                       backlog() > 0, now);
  }
  TaskList again;
  Complete(batch, now, &again);
  TaskList free;
  for (const Task* task : batch) order_.Release(*task, &free);
  queue_.PushFront(&free);
  queue_.PushFront(&again);
  Learn(store, now, events);
  LetWaitingIn(now, events);
}

void Gate::Complete(std::span<Task* const> batch, TimePoint now,
                    TaskList* again) {
  std::size_t completed = 0;
  for (Task* task : batch) {
    MethodCounters& counters = counters_[task->method];
    --counters.in_work;
    --in_work_;
    if (task->again) {
      task->again = false;
      task->place_ = Task::Place::kQueued;
      queue_.Reserve(task);
      ++counters.queued;
      ++queued_;
      ++retries_;
      again->PushBack(task);
      continue;
    }
    SLUICE_DCHECK(OutcomeName(task->result) != "");
    ++counters.completed[task->result];
    Release(*task);
    queue_.Exit(*task);
    task->place_ = Task::Place::kOutside;
    ++completed;
  }
  drain_rate_.Record(completed, now);
}

void Gate::Learn(StoreState store, TimePoint now, GateEvents* events) {
  probing_ = false;
  if (store == StoreState::kUntouched) return;
  if (store == StoreState::kUp) {
    circuit_.Succeed();
    paused_ = false;
    return;
  }
  // Batches that were in work beside one that failed tell nothing new.
  if (paused_) return;
  paused_ = true;
  circuit_.Fail(now, std::uniform_real_distribution<>()(random_));
  if (circuit_.open()) EndUnpromised(events);
}

bool Gate::Leave(Task* task, TimePoint now, GateEvents* events) {
  MethodCounters& counters = counters_[task->method];
  switch (task->place_) {
    case Task::Place::kWaiting:
      Unpark(task);
      ++counters.not_admitted[now < task->deadline ? TaskResult::kCancelled
                                                   : TaskResult::kDeadline];
      break;
    case Task::Place::kQueued:
      if (task->promised) return false;
      queue_.Remove(task);
      LeaveQueue(task, TaskResult::kCancelled);
      break;
    case Task::Place::kCommitting:
    case Task::Place::kInWork:
    case Task::Place::kOutside:
      return false;
  }
  task->place_ = Task::Place::kOutside;
  // The one that left may have been the one for which there was no room.
  LetWaitingIn(now, events);
  return true;
}

void Gate::Expire(TimePoint now, GateEvents* events) {
  while (!expiries_.empty() && expiries_.begin()->at <= now) {
    Task* task = expiries_.begin()->task;
    EndWait(task,
            task->parked_until_ == task->deadline ? TaskResult::kDeadline
                                                  : TaskResult::kWaitOver,
            events);
  }
  if (paused_ && now >= circuit_.retry_at()) paused_ = false;
  if (now >= closed_until_) EndQueue(events);
  LetWaitingIn(now, events);
}

TimePoint Gate::next_expiry() const {
  TimePoint next = expiries_.empty() ? kForever : expiries_.begin()->at;
  if (paused_) next = std::min(next, circuit_.retry_at());
  if (queued_ > committing_.size()) next = std::min(next, closed_until_);
  return next;
}

void Gate::Resize(const GateLimits& limits, TimePoint now, GateEvents* events) {
  limits_ = limits;
  queue_.SetByLane(limits.by_lane, order_, committing_);
  LetWaitingIn(now, events);
}

void Gate::Close(TimePoint until, GateEvents* events) {
  closed_ = true;
  closed_until_ = until;
  for (Task* task : queue_.Waiting()) {
    EndWait(task, TaskResult::kDraining, events);
  }
}

bool Gate::open() const {
  return !closed_ && !ResultsUnavailable() && queue_.waiting() == 0 &&
         !standing_.stands() && queue_.lanes_standing() == 0 &&
         HasPlace(/*depth=*/queued_) && BytesFit(held_bytes_, 1);
}

bool Gate::ready() const { return !queue_.empty() && !paused_ && !probing_; }

bool Gate::idle() const {
  return queue_.waiting() == 0 && queued_ == 0 && in_work_ == 0;
}

PoolView Gate::view() const {
  return {.depth = queued_,
          .capacity = limits_.capacity,
          .held_bytes = held_bytes_,
          .capacity_bytes = limits_.capacity_bytes,
          .waiting = queue_.waiting(),
          .waiting_max = limits_.waiting_max,
          .drained_per_second = drain_rate_.per_second()};
}

std::vector<const Task*> Gate::queued() const {
  std::vector<const Task*> tasks = order_.Aside();
  const std::vector<Task*> rest = queue_.Queued();
  tasks.insert(tasks.end(), rest.begin(), rest.end());
  return tasks;
}

std::vector<const Task*> Gate::committing() const {
  return committing_.Content();
}

std::vector<const Task*> Gate::waiting() const {
  const std::vector<Task*> tasks = queue_.Waiting();
  return {tasks.begin(), tasks.end()};
}

bool Gate::HasRoom(const Lane& lane, std::size_t bytes, bool promised) const {
  return HasPlace(lane.depth) && BytesFit(lane.bytes, bytes) &&
         (promised || !Stands(lane));
}

bool Gate::HasPlace(std::size_t depth) const {
  return queued_ + Reserved(depth) < limits_.capacity;
}

bool Gate::BytesFit(std::size_t bytes_of_lane, std::size_t bytes) const {
  const bool holds_nothing = queued_ == 0 && in_work_ == 0;
  return holds_nothing || Fits(bytes, held_bytes_ + Reserved(bytes_of_lane),
                               limits_.capacity_bytes);
}

bool Gate::Stands(const Lane& lane) const {
  if (!standing_.stands() && !lane.standing.stands()) return false;
  // Those of a class get some of the work, whatever others have queued.
  if (queue_.ClassDepth(lane) == 0) return false;
  return TimeToWork(queue_.Ahead(lane, lane.depth, queued_)) >= target_wait();
}

bool Gate::HasWaitingRoom(const Lane& lane, std::size_t bytes) const {
  const std::size_t waiting = queue_.waiting();
  return waiting + Reserved(lane.waiting.size()) < limits_.waiting_max &&
         (waiting == 0 ||
          Fits(bytes, queue_.waiting_bytes() + Reserved(lane.waiting_bytes),
               limits_.waiting_max_bytes));
}

bool Gate::SomebodyIsFirst(const Lane& lane) const {
  if (queue_.waiting() == 0) return false;
  return queue_.AnyBefore(lane) ||
         std::ranges::any_of(queue_.NextToLetIn(), [this](const Lane* first) {
           return AwaitsBytes(*first);
         });
}

bool Gate::AwaitsBytes(const Lane& lane) const {
  return lane.depth == 0 && !BytesFit(lane.bytes, lane.waiting.front()->bytes);
}

Task* Gate::NextToLetIn() const {
  if (queue_.waiting() == 0) return nullptr;
  for (const Lane* lane : queue_.NextToLetIn()) {
    Task* task = lane->waiting.front();
    if (HasRoom(*lane, task->bytes, task->promised)) return task;
    if (AwaitsBytes(*lane)) return nullptr;
  }
  return nullptr;
}

Admission Gate::Decide(const Arrival& arrival, std::size_t method, Lane* lane,
                       const AdmissionPolicy& policy, TimePoint now,
                       std::optional<Verdict>* said) {
  if (closed_) return Refusal(TaskResult::kDraining);
  if (ResultsUnavailable() && !arrival.promised) {
    return Refusal(TaskResult::kStoreUnavailable);
  }
  // Of one whose lane is not known, that says nothing.
  const bool known = arrival.lane.has_value();
  const std::size_t ahead =
      known ? queue_.Ahead(*lane, lane->depth + lane->waiting.size(),
                           queued_ + queue_.waiting())
            : 0;
  if (!arrival.promised && TooLate(TimeToWork(ahead) + service_rate_.batch(),
                                   arrival.deadline, now)) {
    return RefuseForNow(TaskResult::kHopeless, now);
  }
  // Behind those who wait there is no room, even if this one would fit.
  if (!SomebodyIsFirst(*lane) &&
      HasRoom(*lane, arrival.bytes, arrival.promised || !known)) {
    return {.kind = Admission::Kind::kAdmitted};
  }
  TurnedAway(lane, now);
  Verdict& verdict = said->emplace(policy.OnFull(arrival, view()));
  switch (verdict.kind) {
    case Verdict::Kind::kPark:
      break;
    case Verdict::Kind::kRefuse:
      return RefuseForNow(TaskResult::kQueueFull, now);
    case Verdict::Kind::kDrop:
      return Dropped();
    case Verdict::Kind::kEvictOldest:
      if (!CanEvictFor(arrival.bytes, method)) return Dropped();
      return {.kind = Admission::Kind::kAdmitted};
  }
  if (!HasWaitingRoom(*lane, arrival.bytes + arrival.bytes_behind)) {
    return RefuseForNow(TaskResult::kWaitingRoomFull, now);
  }
  verdict.until = std::min(verdict.until, arrival.deadline);
  const std::size_t enter_before =
      known ? queue_.Ahead(*lane, lane->waiting.size(), queue_.waiting()) : 0;
  if (TooLate(TimeToWork(enter_before + 1), verdict.until, now)) {
    return RefuseForNow(TaskResult::kHopeless, now);
  }
  return {.kind = Admission::Kind::kParked};
}

void Gate::TurnedAway(Lane* lane, TimePoint now) {
  standing_.TurnedAway(now);
  lane->standing.TurnedAway(now);
}

bool Gate::CanEvictFor(std::size_t bytes, std::size_t method) const {
  // After a Resize to less, what is too much is worked off, not dropped.
  const bool within_limits =
      queued_ <= limits_.capacity && held_bytes_ <= limits_.capacity_bytes;
  return queue_.waiting() == 0 && within_limits &&
         droppable_.oldest(method) != nullptr &&
         Fits(bytes, held_bytes_ - droppable_.bytes(method),
              limits_.capacity_bytes);
}

// In a queue that stands a place is taken for a place as well: it gets no
// longer, and workers make it shorter.
void Gate::EvictFor(const Task& arrival, GateEvents* events) {
  do {
    EndQueued(droppable_.oldest(arrival.method), TaskResult::kDropped, events);
  } while (!Fits(arrival.bytes, held_bytes_, limits_.capacity_bytes));
}

bool Gate::TooLate(Duration predicted, TimePoint until, TimePoint now) {
  if (until == kForever || predicted == Duration::zero()) return false;
  return std::chrono::duration<double>(predicted) > (until - now) * kTrust;
}

Duration Gate::TimeToWork(std::size_t count) const {
  const double rate = service_rate_.per_second();
  if (rate <= 0) return Duration::zero();
  // Longer than anybody waits, so that nothing overflows.
  constexpr Duration kMost = std::chrono::hours(24);
  return ToDuration(static_cast<double>(count) / rate, kMost);
}

Duration Gate::target_wait() const {
  return std::max<Duration>(kTargetWait, 2 * service_rate_.batch());
}

Admission Gate::RefuseForNow(TaskResult reason, TimePoint now) {
  refused_.Add(drain_rate_.per_second(), now);
  return Refusal(reason);
}

Admission Gate::Refusal(TaskResult reason) const {
  return {.kind = Admission::Kind::kEnded,
          .result = reason,
          .retry_delay = ExpectedRoom()};
}

Duration Gate::ExpectedRoom() const {
  if (!closed_ && circuit_.open()) return circuit_.delay();
  const double rate = drain_rate_.per_second();
  if (closed_ || rate <= 0) return kRetryDelayUnknown;
  const double ahead = static_cast<double>(queued_ + queue_.waiting()) +
                       std::max(refused_.count(), 1.0);
  return std::max(ToDuration(ahead / rate, kRetryDelayMax), kRetryDelayMin);
}

void Gate::CountShadow(const std::optional<Verdict>& said,
                       MethodCounters* counters) {
  if (!said.has_value() || !said->shadow.has_value()) return;
  ++counters->shadow[static_cast<std::size_t>(*said->shadow)];
}

void Gate::Admit(Task* task, TimePoint now) {
  queue_.Enter(*task);
  queue_.Reserve(task);
  Enqueue(task, now);
}

void Gate::Enqueue(Task* task, TimePoint now) {
  task->sequence = 1 + sequence_->fetch_add(1, std::memory_order_relaxed);
  CountAdmitted(task, now);
  if (task->needs_commit) {
    task->place_ = Task::Place::kCommitting;
    committing_.PushBack(task);
  } else {
    task->place_ = Task::Place::kQueued;
    queue_.Push(task);
    if (MayBeDropped(*task)) droppable_.Add(task);
  }
}

void Gate::CountAdmitted(Task* task, TimePoint now) {
  if (queued_ == 0 && in_work_ == 0) drain_rate_.Begin(now);
  task->admitted_at = now;
  held_bytes_ += task->bytes;
  ++queued_;
  ++counters_[task->method].admitted;
  ++counters_[task->method].queued;
}

// Of a task that is in no list any more.
void Gate::LeaveQueue(Task* task, TaskResult result) {
  if (MayBeDropped(*task)) droppable_.Remove(task);
  task->place_ = Task::Place::kOutside;
  --queued_;
  --counters_[task->method].queued;
  ++counters_[task->method].completed[result];
  Release(*task);
  queue_.Release(task);
  queue_.Exit(*task);
}

void Gate::Release(const Task& task) { held_bytes_ -= task.bytes; }

void Gate::Park(Task* task, TimePoint until) {
  task->place_ = Task::Place::kWaiting;
  task->sequence = 0;
  task->parked_until_ = until;
  task->arrival_ = arrivals_++;
  queue_.Enter(*task);
  queue_.Park(task);
  ++counters_[task->method].waiting;
  if (until != kForever) expiries_.insert({until, task->arrival_, task});
}

void Gate::Unpark(Task* task) {
  queue_.Unpark(task);
  queue_.Exit(*task);
  CountUnparked(task);
}

void Gate::CountUnparked(Task* task) {
  --counters_[task->method].waiting;
  expiries_.erase({task->parked_until_, task->arrival_, task});
}

void Gate::LetWaitingIn(TimePoint now, GateEvents* events) {
  while (Task* task = NextToLetIn()) {
    CountUnparked(task);
    queue_.LetIn(task);
    Enqueue(task, now);
    if (task->listener != nullptr) {
      events->admitted.push_back({task->listener, task->sequence});
    }
  }
  if (queue_.waiting() > 0) standing_.TurnedAway(now);
}

void Gate::EndWait(Task* task, TaskResult result, GateEvents* events) {
  Unpark(task);
  task->place_ = Task::Place::kOutside;
  ++counters_[task->method].not_admitted[result];
  events->ended.push_back({task, result, ExpectedRoom()});
}

void Gate::EndQueued(Task* task, TaskResult result, GateEvents* events) {
  queue_.Remove(task);
  LeaveQueue(task, result);
  events->ended.push_back({task, result, ExpectedRoom()});
}

void Gate::EndQueue(GateEvents* events) {
  TaskList aside;
  order_.ReleaseAll(&aside);
  queue_.PushFront(&aside);
  while (!queue_.empty()) {
    EndQueued(queue_.Next(), TaskResult::kDraining, events);
  }
}

void Gate::EndUnpromised(GateEvents* events) {
  for (Task* task : queue_.Waiting()) {
    if (task->promised) continue;
    EndWait(task, TaskResult::kStoreUnavailable, events);
  }
  for (Task* task : queue_.Queued()) {
    if (task->promised) continue;
    EndQueued(task, TaskResult::kStoreUnavailable, events);
  }
}

}  // namespace sluice
