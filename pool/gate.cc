#include "pool/gate.h"

#include <algorithm>
#include <chrono>

#include "absl/container/flat_hash_map.h"
#include "base/check.h"

namespace sluice {
namespace {

// Limits of the retry delay that a refused caller gets.
constexpr Duration kRetryDelayMin = std::chrono::milliseconds(50);
constexpr Duration kRetryDelayMax = ReturningCallers::kLongest;
// Retry delay while the rate is not known, and while the server shuts down.
constexpr Duration kRetryDelayUnknown = std::chrono::seconds(1);

// A predicted wait may use this share of the time until the caller's deadline,
// since predictions err.
constexpr double kTrust = 0.8;
// CoDel target: a queue in which tasks wait no longer is not a standing queue.
constexpr Duration kTargetWait = std::chrono::milliseconds(50);

Duration ToDuration(double seconds, Duration most) {
  return std::chrono::duration_cast<Duration>(
      std::min(std::chrono::duration<double>(seconds),
               std::chrono::duration<double>(most)));
}

Admission Dropped() {
  return {.kind = Admission::Kind::kEnded, .result = TaskResult::kDropped};
}

// True if `bytes` fit in addition to `taken` bytes. Written so that nothing
// overflows.
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
      eviction_(methods),
      random_(seed),
      counters_(methods) {
  queue_.SetByLane(limits.by_lane, order_, committing_);
}

Admission Gate::Arrive(Task* task, const AdmissionPolicy& policy, TimePoint now,
                       GateEvents* events) {
  MethodCounters& counters = counters_[task->method];
  ++counters.received;
  SLUICE_DCHECK(task->place_ == Task::Place::kOutside);
  SLUICE_DCHECK(task->promised || !task->needs_commit);
  std::optional<Verdict> verdict;
  Lane* lane = queue_.LaneOf(*task);
  Admission admission = Decide({.now = std::min(now, task->waits_since),
                                .deadline = task->deadline,
                                .bytes = task->bytes,
                                .bytes_behind = task->bytes_behind,
                                .promised = task->promised,
                                .priority = task->priority,
                                .lane = task->lane},
                               task->method, lane, policy, now, &verdict);
  CountShadow(verdict, &counters);
  task->found_idle_worker_ =
      admission.kind == Admission::Kind::kAdmitted && HasIdleWorker();
  switch (admission.kind) {
    case Admission::Kind::kAdmitted:
      // Pass a copy of the key: the lane is erased if its last task is evicted.
      if (verdict.has_value()) EvictFor(*task, LaneKey(lane->key), events);
      Admit(task, now);
      admission.sequence = task->sequence;
      break;
    case Admission::Kind::kParked:
      Park(task, verdict->until);
      // The task may have room after all. Decide parks an arrival while the
      // first lane of any class awaits bytes. But only classes whose turn is
      // before the turn of the task's class keep the task from being admitted.
      AdmitParked(now, events);
      break;
    case Admission::Kind::kEnded:
      ++counters.not_admitted[admission.result];
      break;
  }
  CheckAfterEvent();
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
  CheckAfterEvent();
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

bool Gate::Restore(Task* task, TimePoint now, GateEvents* events) {
  SLUICE_DCHECK(task->place_ == Task::Place::kOutside);
  SLUICE_DCHECK(task->promised);
  if (closed_) return false;
  ++counters_[task->method].received;
  queue_.Enter(*task);
  queue_.Reserve(task);
  CountAdmitted(task, now);
  MakeTakeable(task);
  limits_waived_ = true;
  // The restored task changes the order among classes, so another parked task
  // may be first now.
  AdmitParked(now, events);
  CheckAfterEvent();
  return true;
}

RoomToRestore Gate::room_to_restore() const {
  return {.entries = limits_.capacity - std::min(limits_.capacity, queued_),
          .bytes = limits_.capacity_bytes -
                   std::min(limits_.capacity_bytes, held_bytes_)};
}

void Gate::SetUnread(std::size_t entries, TimePoint now, GateEvents* events) {
  unread_ = entries;
  AdmitParked(now, events);
  CheckAfterEvent();
}

std::size_t Gate::FirstCommitting(std::span<Task* const> tasks) const {
  std::size_t count = 0;
  const Task* next = committing_.front();
  while (count < tasks.size() && tasks[count] == next) {
    next = next->next_;
    ++count;
  }
  return count;
}

void Gate::Committed(std::span<Task* const> tasks) {
  for (Task* task : tasks) {
    SLUICE_DCHECK(task->place_ == Task::Place::kCommitting);
    committing_.Remove(task);
    MakeTakeable(task);
  }
  CheckAfterEvent();
}

void Gate::CommitFailed(std::span<Task* const> tasks, TimePoint now,
                        GateEvents* events) {
  for (Task* task : tasks) {
    SLUICE_DCHECK(task->place_ == Task::Place::kCommitting);
    committing_.Remove(task);
    LeaveQueue(task, TaskResult::kStoreUnavailable);
  }
  AdmitParked(now, events);
  CheckAfterEvent();
}

void Gate::Take(const BatchLimits& limits, TimePoint now,
                std::vector<Task*>* batch, GateEvents* events) {
  // With an open circuit the probe is a single task, so that a store that is
  // still unavailable holds up one task only.
  if (ready()) {
    TakeBatch(
        {.tasks = circuit_.open() ? 1 : limits.tasks, .bytes = limits.bytes},
        now, batch, events);
  }
  AdmitParked(now, events);
  if (backlog() == 0) {
    standing_.Emptied();
    service_rate_.Emptied();
    // The empty queue no longer counts as full, so parked tasks may get places
    // beside committing tasks.
    AdmitParked(now, events);
  }
  CheckAfterEvent();
}

void Gate::TakeBatch(const BatchLimits& limits, TimePoint now,
                     std::vector<Task*>* batch, GateEvents* events) {
  const std::size_t size_before = batch->size();
  const Duration target = target_wait();
  const Duration takes = service_rate_.batch_at(now);
  order_.BeginBatch();
  share_.BeginBatch();
  std::size_t bytes = 0;
  const auto fits = [&](const Task& task) {
    return bytes <= limits.bytes && task.bytes <= limits.bytes - bytes;
  };
  while (batch->size() - size_before < limits.tasks && !queue_.empty()) {
    Task* task = queue_.Next();
    // Check the bytes before the task is touched: a task that does not fit
    // keeps its place and its turn.
    if (batch->size() > size_before && !fits(*task)) break;
    if (queue_.has_one_lane_left() && share_.HasEnough(task->lane_->key, now)) {
      break;
    }
    if (!task->promised) {
      const Duration waited = now - task->admitted_at;
      standing_.Taken(waited, target, now);
      queue_.Waited(*task, waited, target, now);
      if (HasNoTimeLeft(*task, takes, now)) {
        EndQueued(task, TaskResult::kHopeless, events);
        continue;
      }
    }
    queue_.Remove(task);
    if (!order_.Claim(task)) {
      // A deferred task keeps its place, and its lane keeps its turn.
      task->place_ = Task::Place::kDeferred;
      continue;
    }
    eviction_.Remove(task);
    // UseTurn comes before Release, which may forget the lane.
    queue_.UseTurn(*task);
    share_.Taken(task->lane_->key, now);
    queue_.Release(task);
    task->place_ = Task::Place::kInWork;
    if (kChecks) working_.PushBack(task);
    task->taken_at_ = now;
    --counters_[task->method].queued;
    --queued_;
    ++counters_[task->method].in_work;
    ++in_work_;
    bytes += task->bytes;
    batch->push_back(task);
  }
  if (batch->size() == size_before) return;
  ++batches_in_work_;
  if (circuit_.failing()) {
    SLUICE_DCHECK(probe_ == nullptr);
    probe_ = (*batch)[size_before];
  }
}

void Gate::Done(std::span<Task* const> batch, StoreState store, TimePoint now,
                GateEvents* events) {
  if (!batch.empty()) {
    SLUICE_DCHECK(batches_in_work_ > 0);
    --batches_in_work_;
    if (store == StoreState::kDown) {
      service_rate_.Failed();
    } else {
      service_rate_.Done(batch.size(), now - batch.front()->taken_at_,
                         backlog() > 0, now);
    }
  }
  AlignDelays(batch);
  TaskList again;
  const std::size_t completed = Complete(batch, now, &again);
  // The duration of an outage says nothing about the speed of the pool.
  if (store == StoreState::kDown) {
    drain_rate_.Begin(now);
  } else {
    drain_rate_.Record(completed, now);
  }
  TaskList free;
  for (const Task* task : batch) {
    if (task->place_ != Task::Place::kDelayed) order_.Release(*task, &free);
  }
  // Return puts tasks in front of all queued tasks. Return the tasks that are
  // processed again last: they were admitted before the tasks that were
  // deferred for them.
  Return(&free);
  Return(&again);
  // Learn comes after Return, so that an opening circuit also ends the returned
  // tasks.
  Learn(batch, store, now, events);
  AdmitParked(now, events);
  CheckAfterEvent();
}

void Gate::AlignDelays(std::span<Task* const> batch) {
  absl::flat_hash_map<std::uint64_t, TimePoint> latest;
  for (const Task* task : batch) {
    if (!task->again || task->order_key == 0) continue;
    TimePoint& at =
        latest.emplace(task->order_key, task->again_at).first->second;
    at = std::max(at, task->again_at);
  }
  if (latest.empty()) return;
  for (Task* task : batch) {
    if (!task->again || task->order_key == 0) continue;
    task->again_at = latest.at(task->order_key);
  }
}

std::size_t Gate::Complete(std::span<Task* const> batch, TimePoint now,
                           TaskList* again) {
  std::size_t completed = 0;
  for (Task* task : batch) {
    SLUICE_DCHECK(task->place_ == Task::Place::kInWork);
    if (kChecks) working_.Remove(task);
    MethodCounters& counters = counters_[task->method];
    --counters.in_work;
    --in_work_;
    if (task->again) {
      SLUICE_DCHECK(task->promised);
      task->again = false;
      limits_waived_ = true;
      queue_.Reserve(task);
      ++counters.queued;
      ++queued_;
      ++retries_;
      if (task->again_at > now) {
        task->place_ = Task::Place::kDelayed;
        delayed_.insert({task->again_at, task->order_, task});
      } else {
        again->PushBack(task);
      }
      continue;
    }
    SLUICE_DCHECK(!OutcomeName(task->result).empty());
    ++counters.completed[task->result];
    ReleaseBytes(*task);
    queue_.Exit(*task);
    task->place_ = Task::Place::kOutside;
    ++completed;
  }
  return completed;
}

void Gate::Learn(std::span<Task* const> batch, StoreState store, TimePoint now,
                 GateEvents* events) {
  // A batch that was taken before the failure may return while the probe is in
  // work. Only the return of the probe itself allows another probe.
  const bool probed =
      probe_ != nullptr && std::ranges::find(batch, probe_) != batch.end();
  if (probed) probe_ = nullptr;
  if (store == StoreState::kUntouched) return;
  if (store == StoreState::kUp) {
    circuit_.Succeed();
    paused_ = false;
    // The circuit has closed: a probe that is in work becomes an ordinary
    // batch.
    probe_ = nullptr;
    return;
  }
  // While the circuit is failing, every batch is taken as a probe. A batch that
  // is not the probe was in work when the store failed. Do not count its
  // failure, which has the same cause.
  if (circuit_.failing() && !probed) return;
  paused_ = true;
  circuit_.Fail(now, std::uniform_real_distribution<>()(random_));
  if (circuit_.open()) EndUnpromised(events);
}

bool Gate::Leave(Task* task, TimePoint now, GateEvents* events) {
  MethodCounters& counters = counters_[task->method];
  switch (task->place_) {
    case Task::Place::kParked:
      Unpark(task);
      ++counters.not_admitted[now < task->deadline ? TaskResult::kCancelled
                                                   : TaskResult::kDeadline];
      break;
    case Task::Place::kQueued:
    case Task::Place::kDeferred:
      if (task->promised) return false;
      Unlink(task);
      LeaveQueue(task, TaskResult::kCancelled);
      break;
    case Task::Place::kDelayed:  // promised
    case Task::Place::kCommitting:
    case Task::Place::kInWork:
    case Task::Place::kOutside:
      return false;
  }
  task->place_ = Task::Place::kOutside;
  // The task may have been the first in turn, without room, and may have
  // blocked the parked tasks behind it.
  AdmitParked(now, events);
  CheckAfterEvent();
  return true;
}

void Gate::Expire(TimePoint now, GateEvents* events) {
  while (!expiries_.empty() && expiries_.begin()->at <= now) {
    Task* task = expiries_.begin()->task;
    EndParked(task,
              task->parked_until_ == task->deadline ? TaskResult::kDeadline
                                                    : TaskResult::kWaitOver,
              events);
  }
  const bool drain_is_over = now >= drain_ends();
  if (paused_ && now >= circuit_.retry_at()) {
    paused_ = false;
    drain_rate_.Begin(now);
  }
  ReturnDelayed(now);
  if (drain_is_over) EndQueue(events);
  AdmitParked(now, events);
  CheckAfterEvent();
}

TimePoint Gate::next_expiry() const {
  TimePoint next = expiries_.empty() ? kForever : expiries_.begin()->at;
  if (paused_) next = std::min(next, circuit_.retry_at());
  if (!delayed_.empty()) next = std::min(next, delayed_.begin()->at);
  if (queued_ > committing_.size()) next = std::min(next, drain_ends());
  return next;
}

void Gate::Resize(const GateLimits& limits, TimePoint now, GateEvents* events) {
  limits_ = limits;
  queue_.SetByLane(limits.by_lane, order_, committing_);
  limits_waived_ = true;
  AdmitParked(now, events);
  CheckAfterEvent();
}

void Gate::Close(TimePoint until, Promises promises, GateEvents* events) {
  closed_ = true;
  closed_until_ = until;
  promises_ = promises;
  for (Task* task : queue_.Waiting()) {
    EndParked(task, TaskResult::kDraining, events);
  }
  CheckAfterEvent();
}

bool Gate::open() const {
  return !closed_ && !ResultsUnavailable() && queue_.waiting() == 0 &&
         !standing_.stands() && queue_.lanes_standing() == 0 &&
         HasPlace(/*depth=*/queued_) && BytesFit(held_bytes_, 1);
}

bool Gate::ready() const {
  return !queue_.empty() && !paused_ && probe_ == nullptr;
}

bool Gate::idle() const {
  return queue_.waiting() == 0 && queued_ == 0 && in_work_ == 0;
}

PoolView Gate::view() const {
  return {.depth = queued_ + unread_,
          .capacity = limits_.capacity,
          .held_bytes = held_bytes_,
          .capacity_bytes = limits_.capacity_bytes,
          .waiting = queue_.waiting(),
          .waiting_max = limits_.waiting_max,
          .drained_per_second = drain_rate_.per_second()};
}

std::vector<const Task*> Gate::queued() const {
  const std::vector<Task*> deferred = order_.Deferred();
  const std::vector<Task*> rest = queue_.Queued();
  std::vector<const Task*> tasks;
  for (const Expiry& delayed : delayed_) tasks.push_back(delayed.task);
  tasks.insert(tasks.end(), deferred.begin(), deferred.end());
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
         (promised || !HasStandingQueue(lane));
}

bool Gate::HasPlace(std::size_t depth) const {
  return unread_ == 0 && queued_ + Reserved(depth) < limits_.capacity;
}

bool Gate::BytesFit(std::size_t bytes_of_lane, std::size_t bytes) const {
  const bool holds_nothing = queued_ == 0 && in_work_ == 0;
  return holds_nothing || Fits(bytes, held_bytes_ + Reserved(bytes_of_lane),
                               limits_.capacity_bytes);
}

bool Gate::HasStandingQueue(const Lane& lane) const {
  if (!standing_.stands() && !lane.standing.stands()) return false;
  // A class with nothing queued gets a turn soon, however much other classes
  // have queued.
  if (queue_.ClassDepth(lane) == 0) return false;
  // Use the measured rate without fading. The faded rate grows with time, so a
  // parked task could have room without any event that admits the task.
  return TimeToWork(queue_.Ahead(lane, lane.depth, queued_),
                    service_rate_.per_second()) >= target_wait();
}

bool Gate::HasWaitingRoom(const Lane& lane, std::size_t bytes) const {
  const std::size_t waiting = queue_.waiting();
  return waiting + Reserved(lane.waiting.size()) < limits_.waiting_max &&
         (waiting == 0 ||
          Fits(bytes, queue_.waiting_bytes() + Reserved(lane.waiting_bytes),
               limits_.waiting_max_bytes));
}

bool Gate::ComesBehindParked(const Lane& lane) const {
  if (queue_.waiting() == 0) return false;
  return queue_.AnyBefore(lane) ||
         std::ranges::any_of(queue_.NextToAdmit(), [this](const Lane* first) {
           return AwaitsBytes(*first);
         });
}

bool Gate::AwaitsBytes(const Lane& lane) const {
  return lane.depth == 0 && !BytesFit(lane.bytes, lane.waiting.front()->bytes);
}

Task* Gate::NextToAdmit() const {
  if (queue_.waiting() == 0) return nullptr;
  for (const Lane* lane : queue_.NextToAdmit()) {
    Task* task = lane->waiting.front();
    if (HasRoom(*lane, task->bytes, task->promised)) return task;
    // Admit nobody: smaller tasks of other classes would take all bytes that
    // become free, and this task would never be admitted.
    if (AwaitsBytes(*lane)) return nullptr;
  }
  return nullptr;
}

Admission Gate::Decide(const Arrival& arrival, std::size_t method, Lane* lane,
                       const AdmissionPolicy& policy, TimePoint now,
                       std::optional<Verdict>* asked) {
  if (closed_) return Refusal(TaskResult::kDraining);
  if (ResultsUnavailable() && !arrival.promised) {
    return Refusal(TaskResult::kStoreUnavailable);
  }
  // Without the lane, the backlog ahead of the arrival is not known.
  const bool known = arrival.lane.has_value();
  const std::size_t ahead =
      known ? queue_.Ahead(*lane, lane->depth + lane->waiting.size(),
                           queued_ + queue_.waiting())
            : 0;
  if (!arrival.promised &&
      TooLate(TimeToResult(ahead, now), arrival.deadline, now)) {
    return RefuseForNow(TaskResult::kHopeless, now);
  }
  // An arrival does not overtake parked tasks, even if it would fit.
  if (!ComesBehindParked(*lane) &&
      HasRoom(*lane, arrival.bytes, arrival.promised || !known)) {
    return {.kind = Admission::Kind::kAdmitted};
  }
  TurnedAway(lane, now);
  Verdict& verdict = asked->emplace(policy.OnFull(arrival, view()));
  switch (verdict.kind) {
    case Verdict::Kind::kPark:
      break;
    case Verdict::Kind::kRefuse:
      return RefuseForNow(TaskResult::kQueueFull, now);
    case Verdict::Kind::kDrop:
      return Dropped();
    case Verdict::Kind::kEvictOldest:
      if (!CanEvictFor(arrival.bytes, method, *lane, known)) return Dropped();
      return {.kind = Admission::Kind::kAdmitted};
  }
  if (!HasWaitingRoom(*lane, arrival.bytes + arrival.bytes_behind)) {
    return RefuseForNow(TaskResult::kWaitingRoomFull, now);
  }
  verdict.until = std::min(verdict.until, arrival.deadline);
  const std::size_t enter_before =
      known ? queue_.Ahead(*lane, lane->waiting.size(), queue_.waiting()) : 0;
  // If a worker is idle and the queue is empty, the task waits only until
  // batches in work free their bytes.
  if (!FindsIdlePool() &&
      TooLate(TimeToWork(enter_before + 1, service_rate_.per_second_at(now)),
              verdict.until, now)) {
    return RefuseForNow(TaskResult::kHopeless, now);
  }
  return {.kind = Admission::Kind::kParked};
}

void Gate::TurnedAway(Lane* lane, TimePoint now) {
  standing_.TurnedAway(now);
  lane->standing.TurnedAway(now);
}

bool Gate::CanEvictFor(std::size_t bytes, std::size_t method, const Lane& lane,
                       bool lane_known) const {
  // An arrival must not overtake a parked task or an unread entry. If Resize
  // lowered a limit, the excess is worked off, not evicted.
  if (queue_.waiting() > 0 || unread_ > 0 || queued_ > limits_.capacity ||
      held_bytes_ > limits_.capacity_bytes) {
    return false;
  }
  // An empty lane has nothing to evict. It may also be the stand-in for a lane
  // that does not exist, and then its key is wrong.
  if (lane_known && lane.depth == 0) return false;
  const Eviction::Evictable can =
      lane_known ? eviction_.In(method, lane.key) : eviction_.InAnyLane(method);
  if (can.tasks == 0) return false;
  // The lane does not grow if it evicts at least as many bytes as the arrival
  // has.
  if (bytes <= can.bytes) return true;
  const std::size_t left = lane.bytes - std::min(lane.bytes, can.bytes);
  return Fits(bytes, held_bytes_ - can.bytes + Reserved(left),
              limits_.capacity_bytes);
}

// Evicts one task, and more only if the arrival's bytes need it. This also
// holds for a lane that exceeds its share or has a standing queue: the lane
// does not grow, and workers shorten it.
void Gate::EvictFor(const Task& arrival, const LaneKey& lane,
                    GateEvents* events) {
  std::size_t evicted = 0;
  do {
    Task* oldest = eviction_.Oldest(arrival.method, lane);
    SLUICE_DCHECK(oldest != nullptr);
    evicted += oldest->bytes;
    EndQueued(oldest, TaskResult::kDropped, events);
  } while (arrival.bytes > evicted &&
           !Fits(arrival.bytes,
                 held_bytes_ + Reserved(queue_.LaneOf(lane)->bytes),
                 limits_.capacity_bytes));
}

bool Gate::TooLate(Duration predicted, TimePoint until, TimePoint now) {
  if (until == kForever || predicted == Duration::zero()) return false;
  return std::chrono::duration<double>(predicted) > (until - now) * kTrust;
}

Duration Gate::TimeToWork(std::size_t count, double per_second) {
  if (per_second <= 0) return Duration::zero();
  // Limit of the result: longer than any caller waits, and short enough not to
  // overflow.
  constexpr Duration kMost = std::chrono::hours(24);
  return ToDuration(static_cast<double>(count) / per_second, kMost);
}

Duration Gate::TimeToResult(std::size_t ahead, TimePoint now) const {
  if (FindsIdlePool()) return Duration::zero();
  const Duration backlog = TimeToWork(ahead, service_rate_.per_second_at(now));
  // If several arrivals come together, a worker counts as idle until it has
  // woken up for the first of them. The arrivals then find an idle worker and a
  // backlog.
  return HasIdleWorker() ? backlog : backlog + service_rate_.batch_at(now);
}

bool Gate::HasNoTimeLeft(const Task& task, Duration batch_takes,
                         TimePoint now) {
  if (task.found_idle_worker_) return task.deadline <= now;
  return TooLate(batch_takes, task.deadline, now);
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
  const double ahead =
      static_cast<double>(queued_ + unread_ + queue_.waiting()) +
      std::max(refused_.count(), 1.0);
  return std::max(ToDuration(ahead / rate, kRetryDelayMax), kRetryDelayMin);
}

void Gate::CountShadow(const std::optional<Verdict>& verdict,
                       MethodCounters* counters) {
  if (!verdict.has_value() || !verdict->shadow.has_value()) return;
  ++counters->shadow[static_cast<std::size_t>(*verdict->shadow)];
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
    MakeTakeable(task);
  }
}

void Gate::MakeTakeable(Task* task) {
  task->place_ = Task::Place::kQueued;
  queue_.Push(task);
  eviction_.Add(task);
}

void Gate::Return(TaskList* tasks) {
  tasks->ForEach([](Task* task) { task->place_ = Task::Place::kQueued; });
  queue_.PushFront(tasks);
}

void Gate::Unlink(Task* task) {
  if (task->place_ == Task::Place::kDeferred) {
    order_.Remove(task);
  } else {
    SLUICE_DCHECK(task->place_ == Task::Place::kQueued);
    queue_.Remove(task);
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

void Gate::LeaveQueue(Task* task, TaskResult result) {
  // Eviction finds the task by its lane, which Release clears.
  eviction_.Remove(task);
  task->place_ = Task::Place::kOutside;
  --queued_;
  --counters_[task->method].queued;
  ++counters_[task->method].completed[result];
  ReleaseBytes(*task);
  queue_.Release(task);
  queue_.Exit(*task);
}

void Gate::ReleaseBytes(const Task& task) {
  SLUICE_DCHECK_GE(held_bytes_, task.bytes);
  held_bytes_ -= task.bytes;
}

void Gate::Park(Task* task, TimePoint until) {
  task->place_ = Task::Place::kParked;
  task->sequence = 0;
  task->parked_until_ = until;
  task->order_ = parked_++;
  queue_.Enter(*task);
  queue_.Park(task);
  ++counters_[task->method].waiting;
  if (until != kForever) expiries_.insert({until, task->order_, task});
}

void Gate::Unpark(Task* task) {
  queue_.Unpark(task);
  queue_.Exit(*task);
  CountUnparked(task);
}

void Gate::CountUnparked(Task* task) {
  SLUICE_DCHECK(task->place_ == Task::Place::kParked);
  --counters_[task->method].waiting;
  expiries_.erase({task->parked_until_, task->order_, task});
}

void Gate::AdmitParked(TimePoint now, GateEvents* events) {
  while (Task* task = NextToAdmit()) {
    // Must come before Enqueue, which changes task->order_: CountUnparked uses
    // order_ to find the expiry.
    CountUnparked(task);
    queue_.Admit(task);
    Enqueue(task, now);
    if (task->listener != nullptr) {
      events->admitted.push_back({task->listener, task->sequence});
    }
  }
  if (queue_.waiting() > 0) standing_.TurnedAway(now);
}

void Gate::EndParked(Task* task, TaskResult result, GateEvents* events) {
  Unpark(task);
  task->place_ = Task::Place::kOutside;
  ++counters_[task->method].not_admitted[result];
  events->ended.push_back({task, result, ExpectedRoom()});
}

void Gate::EndQueued(Task* task, TaskResult result, GateEvents* events) {
  Unlink(task);
  LeaveQueue(task, result);
  events->ended.push_back({task, result, ExpectedRoom()});
}

void Gate::ReturnDelayed(TimePoint now) {
  TaskList free;
  TaskList due;
  while (!delayed_.empty() && delayed_.begin()->at <= now) {
    Task* task = delayed_.begin()->task;
    delayed_.erase(delayed_.begin());
    order_.Release(*task, &free);
    due.PushBack(task);
  }
  // Return the delayed tasks last, so that they come first in their lanes: they
  // were admitted before the tasks that were deferred for them.
  Return(&free);
  Return(&due);
}

bool Gate::OutlastsDrain() const {
  // A batch in work may end the pause or free a key, and a committing task may
  // be begun after its commit.
  if (!closed_ || in_work_ > 0 || !committing_.empty()) return false;
  // While the circuit is open, only promised tasks are queued.
  const bool durable = promises_ == Promises::kDurable;
  if (paused_ &&
      (circuit_.retry_at() >= closed_until_ || (durable && circuit_.open()))) {
    return true;
  }
  // Do not end the delayed tasks while another task can be taken: it may have
  // the key of a delayed task. The delayed task holds the key, so that the
  // later task becomes deferred and is not begun before the earlier one.
  return queue_.empty() &&
         (durable || delayed_.empty() || delayed_.begin()->at >= closed_until_);
}

void Gate::EndQueue(GateEvents* events) {
  ReturnDelayed(kForever);
  TaskList deferred;
  order_.ReleaseAll(&deferred);
  Return(&deferred);
  while (!queue_.empty()) {
    EndQueued(queue_.Next(), TaskResult::kDraining, events);
  }
}

void Gate::EndUnpromised(GateEvents* events) {
  for (Task* task : queue_.Waiting()) {
    if (task->promised) continue;
    EndParked(task, TaskResult::kStoreUnavailable, events);
  }
  for (const std::vector<Task*>& tasks : {queue_.Queued(), order_.Deferred()}) {
    for (Task* task : tasks) {
      if (task->promised) continue;
      EndQueued(task, TaskResult::kStoreUnavailable, events);
    }
  }
}

}  // namespace sluice
