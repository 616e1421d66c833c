#include "tools/sim/pool_model.h"

#include <algorithm>
#include <utility>

#include "loadgen/traffic/virtual_time.h"

namespace sluice {
namespace {

// Every task of a simulation is a Caller.
Caller* CallerOf(Task* task) { return static_cast<Caller*>(task); }

}  // namespace

PoolModel::PoolModel(std::string name, const Config& config,
                     const Windows& windows, ServiceTime service_time,
                     std::atomic<std::int64_t>* sequence)
    : name_(std::move(name)),
      config_(config.pools.at(name_)),
      service_time_(std::move(service_time)),
      gate_(GateLimitsOf(config, name_), kMethods, sequence),
      scaler_({config_.workers.min, config_.workers.max}),
      workers_(WorkersOf(config_)),
      recorder_(windows) {
  for (std::size_t i = workers_.size(); i > 0; --i) idle_.push_back(i - 1);
  gate_.SetWorkers(scaler_.workers());
}

Admission PoolModel::Arrive(Caller* caller, const AdmissionPolicy& policy,
                            TimePoint now) {
  recorder_.AdvanceTo(gate_, now);
  if (caller->attempts == 1) recorder_.CountSubmission();
  const Admission admission = gate_.Arrive(caller, policy, now, &events_);
  caller->parked = admission.kind == Admission::Kind::kParked;
  if (caller->parked) parked_bytes_ += caller->bytes;
  Deliver();
  StartWorkers(now);
  return admission;
}

bool PoolModel::Leave(Caller* caller, TimePoint now) {
  recorder_.AdvanceTo(gate_, now);
  const bool left = gate_.Leave(caller, now, &events_);
  if (left && caller->parked) parked_bytes_ -= caller->bytes;
  Deliver();
  StartWorkers(now);
  return left;
}

TimePoint PoolModel::next() const {
  const TimePoint due = std::min(gate_.next_expiry(), scaler_.next_look());
  return finishing_.empty() ? due : std::min(due, finishing_.top().at);
}

void PoolModel::Advance(TimePoint now) {
  recorder_.AdvanceTo(gate_, now);
  if (!finishing_.empty() && finishing_.top().at <= now) {
    FinishBatch(now);
  } else {
    gate_.Expire(now, &events_);
    scaler_.Look(now);
    Deliver();
  }
  StartWorkers(now);
}

void PoolModel::FinishBatch(TimePoint now) {
  const std::size_t index = finishing_.top().worker;
  finishing_.pop();
  std::vector<Task*>& batch = workers_[index].batch;
  for (Task* task : batch) task->result = TaskResult::kStored;
  gate_.Done(batch, StoreState::kUp, now, &events_);
  scaler_.End(now - workers_[index].since, batch.size(), now);
  Deliver();
  for (Task* task : batch) task->OnDone();
  batch.clear();
  idle_.push_back(index);
}

void PoolModel::StartWorkers(TimePoint now) {
  gate_.SetWorkers(scaler_.workers());
  // A worker above the target ends after its batch.
  while (busy() < scaler_.workers() && gate_.ready()) {
    const std::size_t index = idle_.back();
    const bool full = !gate_.open();
    std::vector<Task*>& batch = workers_[index].batch;
    gate_.Take(BatchLimitsOf(config_), now, &batch, &events_);
    Deliver();
    if (batch.empty()) break;
    idle_.pop_back();
    workers_[index].since = now;
    scaler_.Begin(now - batch.front()->admitted_at, full, now);
    for (Task* task : batch) {
      Caller* const caller = CallerOf(task);
      recorder_.RecordWait(now - caller->arrived_at);
      caller->owner->OnStarted(caller);
    }
    finishing_.push(
        {now + service_time_(batch.size(), now), batches_++, index});
  }
  Record();
}

void PoolModel::Deliver() {
  for (const Unparked& unparked : events_.admitted) {
    Caller* const caller = static_cast<Caller*>(unparked.listener);
    caller->parked = false;
    parked_bytes_ -= caller->bytes;
    unparked.listener->OnAdmitted(unparked.sequence);
  }
  for (const Ended& ended : events_.ended) {
    Caller* const caller = CallerOf(ended.task);
    if (caller->parked) parked_bytes_ -= caller->bytes;
    caller->parked = false;
    ended.task->OnEnded(ended.result, ended.retry_delay);
  }
  events_.clear();
}

void PoolModel::Record() {
  const PoolView view = gate_.view();
  recorder_.SetLevels(
      {.depth = static_cast<double>(view.depth),
       .waiting = static_cast<double>(view.waiting),
       .workers = static_cast<double>(std::max(scaler_.workers(), busy())),
       .busy = static_cast<double>(busy()),
       .bytes = static_cast<double>(view.held_bytes + parked_bytes_),
       .lanes = static_cast<double>(gate_.lanes())});
}

PoolResult PoolModel::Result() const {
  return {.name = name_,
          .config = config_,
          .workers = workers_.size(),
          .windows = recorder_.windows(),
          .total = recorder_.total()};
}

}  // namespace sluice
