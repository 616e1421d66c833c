#include "pool/gate.h"

#include <algorithm>
#include <chrono>
#include <numeric>

namespace sluice {
namespace {

// A refused caller is told to come back when room is expected, within these.
constexpr Duration kRetryDelayMin = std::chrono::milliseconds(50);
constexpr Duration kRetryDelayMax = std::chrono::seconds(32);
// While nothing is known of the rate, and when the server goes away.
constexpr Duration kRetryDelayUnknown = std::chrono::seconds(1);

// Whether `bytes` fit beside those `taken`; written so that nothing overflows.
bool Fits(std::size_t bytes, std::size_t taken, std::size_t limit) {
  return taken <= limit && bytes <= limit - taken;
}

}  // namespace

bool MethodCounters::Balanced() const {
  const std::uint64_t all_rejected =
      std::accumulate(rejected.begin(), rejected.end(), std::uint64_t{0});
  const std::uint64_t all_completed =
      std::accumulate(completed.begin(), completed.end(), std::uint64_t{0});
  return received == admitted + all_rejected + dropped + abandoned_cancelled +
                         abandoned_deadline + invalid + waiting &&
         admitted == all_completed + queued + in_work;
}

Gate::Gate(const GateLimits& limits, std::size_t methods,
           std::atomic<std::int64_t>* sequence)
    : sequence_(sequence), limits_(limits), counters_(methods) {}

Admission Gate::Arrive(Task* task, const AdmissionPolicy& policy,
                       TimePoint now) {
  MethodCounters& counters = counters_[task->method];
  ++counters.received;
  TimePoint park_until = kForever;
  Admission admission =
      Decide({std::min(now, task->waits_since), task->deadline, task->bytes},
             policy, &park_until);
  switch (admission.kind) {
    case Admission::Kind::kAdmitted:
      Enqueue(task, now);
      admission.sequence = task->sequence;
      break;
    case Admission::Kind::kParked:
      Park(task, park_until);
      break;
    case Admission::Kind::kRefused:
    case Admission::Kind::kDropped:
      CountTurnedAway(admission, &counters);
      break;
  }
  return admission;
}

std::optional<Admission> Gate::TurnAway(const Arrival& arrival,
                                        std::size_t method,
                                        const AdmissionPolicy& policy) {
  TimePoint park_until;
  const Admission admission = Decide(arrival, policy, &park_until);
  if (admission.kind == Admission::Kind::kAdmitted ||
      admission.kind == Admission::Kind::kParked) {
    return std::nullopt;
  }
  ++counters_[method].received;
  CountTurnedAway(admission, &counters_[method]);
  return admission;
}

void Gate::CountInvalid(std::size_t method) {
  ++counters_[method].received;
  ++counters_[method].invalid;
}

void Gate::Take(std::size_t max, TimePoint now, std::vector<Task*>* batch,
                GateEvents* events) {
  for (std::size_t i = 0; i < max && !queue_.empty(); ++i) {
    Task* task = queue_.front();
    Dequeue(task);
    task->place_ = Task::Place::kInWork;
    ++counters_[task->method].in_work;
    ++in_work_;
    batch->push_back(task);
  }
  LetWaitingIn(now, events);
}

void Gate::Done(std::span<Task* const> batch, TimePoint now,
                GateEvents* events) {
  for (Task* task : batch) {
    MethodCounters& counters = counters_[task->method];
    --counters.in_work;
    ++counters.completed[static_cast<std::size_t>(task->outcome)];
    --in_work_;
    Release(*task);
    task->place_ = Task::Place::kOutside;
  }
  drain_rate_.Record(batch.size(), now);
  LetWaitingIn(now, events);
}

bool Gate::Leave(Task* task, TimePoint now, GateEvents* events) {
  MethodCounters& counters = counters_[task->method];
  switch (task->place_) {
    case Task::Place::kWaiting:
      Unpark(task);
      ++(now < task->deadline ? counters.abandoned_cancelled
                              : counters.abandoned_deadline);
      break;
    case Task::Place::kQueued:
      if (task->promised) return false;
      Dequeue(task);
      Release(*task);
      ++counters.completed[static_cast<std::size_t>(Outcome::kAbandoned)];
      break;
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
            task->parked_until_ == task->deadline ? Ending::kDeadline
                                                  : Ending::kWaitOver,
            events);
  }
  if (now >= closed_until_) EndQueue(events);
  LetWaitingIn(now, events);
}

TimePoint Gate::next_expiry() const {
  const TimePoint first = expiries_.empty() ? kForever : expiries_.begin()->at;
  return queue_.empty() ? first : std::min(first, closed_until_);
}

void Gate::Resize(const GateLimits& limits, TimePoint now, GateEvents* events) {
  limits_ = limits;
  LetWaitingIn(now, events);
}

void Gate::Close(TimePoint until, GateEvents* events) {
  closed_ = true;
  closed_until_ = until;
  while (!waiting_.empty()) {
    EndWait(waiting_.front(), Ending::kDraining, events);
  }
}

bool Gate::open() const { return !closed_ && waiting_.empty() && HasRoom(1); }

bool Gate::idle() const {
  return waiting_.empty() && queue_.empty() && in_work_ == 0;
}

PoolView Gate::view() const {
  return {.depth = queue_.size(),
          .capacity = limits_.capacity,
          .held_bytes = held_bytes_,
          .capacity_bytes = limits_.capacity_bytes,
          .waiting = waiting_.size(),
          .waiting_max = limits_.waiting_max,
          .drained_per_second = drain_rate_.per_second()};
}

std::vector<const Task*> Gate::queued() const { return queue_.Content(); }

std::vector<const Task*> Gate::waiting() const { return waiting_.Content(); }

bool Gate::HasRoom(std::size_t bytes) const {
  const bool holds_nothing = queue_.empty() && in_work_ == 0;
  return queue_.size() < limits_.capacity &&
         (holds_nothing || Fits(bytes, held_bytes_, limits_.capacity_bytes));
}

bool Gate::HasWaitingRoom(std::size_t bytes) const {
  return waiting_.size() < limits_.waiting_max &&
         (waiting_.empty() ||
          Fits(bytes, waiting_bytes_, limits_.waiting_max_bytes));
}

Admission Gate::Decide(const Arrival& arrival, const AdmissionPolicy& policy,
                       TimePoint* park_until) const {
  if (closed_) return Refusal(RefusalReason::kDraining);
  // Behind those who wait there is no room, even if this one would fit.
  if (waiting_.empty() && HasRoom(arrival.bytes)) {
    return {.kind = Admission::Kind::kAdmitted};
  }
  const Verdict verdict = policy.OnFull(arrival, view());
  switch (verdict.kind) {
    case Verdict::Kind::kPark:
      break;
    case Verdict::Kind::kRefuse:
      return Refusal(RefusalReason::kQueueFull);
    case Verdict::Kind::kDrop:
      return {.kind = Admission::Kind::kDropped};
  }
  if (!HasWaitingRoom(arrival.bytes)) {
    return Refusal(RefusalReason::kWaitingRoomFull);
  }
  *park_until = std::min(verdict.until, arrival.deadline);
  return {.kind = Admission::Kind::kParked};
}

Admission Gate::Refusal(RefusalReason reason) const {
  return {.kind = Admission::Kind::kRefused,
          .reason = reason,
          .retry_delay = ExpectedRoom()};
}

Duration Gate::ExpectedRoom() const {
  const double rate = drain_rate_.per_second();
  if (closed_ || rate <= 0) return kRetryDelayUnknown;
  const double ahead = static_cast<double>(queue_.size() + waiting_.size() + 1);
  const double max_seconds =
      std::chrono::duration<double>(kRetryDelayMax).count();
  const std::chrono::duration<double> expected(
      std::min(ahead / rate, max_seconds));
  return std::max(std::chrono::duration_cast<Duration>(expected),
                  kRetryDelayMin);
}

void Gate::CountTurnedAway(const Admission& admission,
                           MethodCounters* counters) {
  if (admission.kind == Admission::Kind::kDropped) {
    ++counters->dropped;
  } else {
    ++counters->rejected[static_cast<std::size_t>(admission.reason)];
  }
}

void Gate::Enqueue(Task* task, TimePoint now) {
  if (queue_.empty() && in_work_ == 0) drain_rate_.Begin(now);
  task->place_ = Task::Place::kQueued;
  task->sequence = 1 + sequence_->fetch_add(1, std::memory_order_relaxed);
  task->admitted_at = now;
  queue_.PushBack(task);
  held_bytes_ += task->bytes;
  ++counters_[task->method].admitted;
  ++counters_[task->method].queued;
}

void Gate::Dequeue(Task* task) {
  queue_.Remove(task);
  --counters_[task->method].queued;
}

void Gate::Release(const Task& task) { held_bytes_ -= task.bytes; }

void Gate::Park(Task* task, TimePoint until) {
  task->place_ = Task::Place::kWaiting;
  task->sequence = 0;
  task->parked_until_ = until;
  task->arrival_ = arrivals_++;
  waiting_.PushBack(task);
  waiting_bytes_ += task->bytes;
  ++counters_[task->method].waiting;
  if (until != kForever) expiries_.insert({until, task->arrival_, task});
}

void Gate::Unpark(Task* task) {
  waiting_.Remove(task);
  waiting_bytes_ -= task->bytes;
  --counters_[task->method].waiting;
  expiries_.erase({task->parked_until_, task->arrival_, task});
}

void Gate::LetWaitingIn(TimePoint now, GateEvents* events) {
  while (!waiting_.empty() && HasRoom(waiting_.front()->bytes)) {
    Task* task = waiting_.front();
    Unpark(task);
    Enqueue(task, now);
    if (task->listener != nullptr) {
      events->admitted.push_back({task->listener, task->sequence});
    }
  }
}

void Gate::EndWait(Task* task, Ending ending, GateEvents* events) {
  Unpark(task);
  task->place_ = Task::Place::kOutside;
  MethodCounters& counters = counters_[task->method];
  switch (ending) {
    case Ending::kWaitOver:
      ++counters.rejected[static_cast<std::size_t>(RefusalReason::kWaitOver)];
      break;
    case Ending::kDeadline:
      ++counters.abandoned_deadline;
      break;
    case Ending::kDraining:
      ++counters.rejected[static_cast<std::size_t>(RefusalReason::kDraining)];
      break;
  }
  events->ended.push_back({task, ending, ExpectedRoom()});
}

void Gate::EndQueue(GateEvents* events) {
  while (!queue_.empty()) {
    Task* task = queue_.front();
    Dequeue(task);
    Release(*task);
    task->place_ = Task::Place::kOutside;
    ++counters_[task->method]
          .completed[static_cast<std::size_t>(Outcome::kLeft)];
    events->ended.push_back({task, Ending::kDraining, ExpectedRoom()});
  }
}

}  // namespace sluice
