#include "pool/worker_pool.h"

#include <algorithm>
#include <iterator>
#include <random>
#include <system_error>
#include <utility>

#include "base/scheduling.h"

namespace sluice {
namespace {

// Delay until the next try after the system could not start a thread.
constexpr Duration kStartAgainAfter = std::chrono::seconds(1);

}  // namespace

WorkerPool::WorkerPool(WorkerPoolOptions options, Processor* processor,
                       Clock* clock, std::atomic<std::int64_t>* sequence)
    : options_(std::move(options)),
      processor_(processor),
      clock_(clock),
      gate_(options_.limits, options_.methods, sequence,
            std::random_device()()),
      batch_limits_(options_.batch),
      range_(options_.workers),
      scaler_(options_.workers) {
  {
    absl::MutexLock lock(&mutex_);
    gate_.SetWorkers(WantedWorkers());
  }
  StartWorkers();
  timer_ = std::thread([this] { KeepTime(); });
}

WorkerPool::~WorkerPool() { Join(); }

Admission WorkerPool::Arrive(Task* task, const AdmissionPolicy& policy) {
  GateEvents events;
  Admission admission;
  {
    absl::MutexLock lock(&mutex_);
    admission = gate_.Arrive(task, policy, clock_->Now(), &events);
    Wake();
  }
  Deliver(&events);
  return admission;
}

std::optional<Admission> WorkerPool::TurnAway(Arrival arrival,
                                              std::size_t method,
                                              const AdmissionPolicy& policy) {
  if (!full()) return std::nullopt;
  absl::MutexLock lock(&mutex_);
  arrival.now = clock_->Now();
  return gate_.TurnAway(arrival, method, policy);
}

bool WorkerPool::Leave(Task* task) {
  GateEvents events;
  bool left = false;
  {
    absl::MutexLock lock(&mutex_);
    left = gate_.Leave(task, clock_->Now(), &events);
    Wake();
  }
  Deliver(&events);
  return left;
}

void WorkerPool::CountArrival(std::size_t method, TaskResult result) {
  absl::MutexLock lock(&mutex_);
  gate_.CountArrival(method, result);
}

bool WorkerPool::Restore(Task* task) {
  GateEvents events;
  bool restored = false;
  {
    absl::MutexLock lock(&mutex_);
    restored = gate_.Restore(task, clock_->Now(), &events);
    Wake();
  }
  Deliver(&events);
  return restored;
}

void WorkerPool::SetUnread(std::size_t entries) {
  GateEvents events;
  {
    absl::MutexLock lock(&mutex_);
    gate_.SetUnread(entries, clock_->Now(), &events);
    Wake();
  }
  Deliver(&events);
}

RoomToRestore WorkerPool::AwaitRoomToRestore(TimePoint not_before) {
  absl::MutexLock lock(&mutex_);
  ++restorers_;
  while (!gate_.closed()) {
    if (clock_->Now() < not_before) {
      clock_->Wait(&room_to_restore_, &mutex_, not_before);
    } else if (gate_.room_to_restore().empty()) {
      room_to_restore_.Wait(&mutex_);
    } else {
      break;
    }
  }
  --restorers_;
  return gate_.closed() ? RoomToRestore() : gate_.room_to_restore();
}

RoomToRestore WorkerPool::room_to_restore() const {
  absl::MutexLock lock(&mutex_);
  return gate_.room_to_restore();
}

std::size_t WorkerPool::FirstCommitting(std::span<Task* const> tasks) const {
  absl::MutexLock lock(&mutex_);
  return gate_.FirstCommitting(tasks);
}

void WorkerPool::Committed(std::span<Task* const> tasks) {
  absl::MutexLock lock(&mutex_);
  gate_.Committed(tasks);
  Wake();
}

void WorkerPool::CommitFailed(std::span<Task* const> tasks) {
  GateEvents events;
  {
    absl::MutexLock lock(&mutex_);
    gate_.CommitFailed(tasks, clock_->Now(), &events);
    Wake();
  }
  Deliver(&events);
}

void WorkerPool::Close(TimePoint until, Promises promises) {
  GateEvents events;
  {
    absl::MutexLock lock(&mutex_);
    gate_.Close(until, promises, &events);
    Wake();
  }
  Deliver(&events);
}

void WorkerPool::Resize(const GateLimits& limits, const BatchLimits& batch) {
  GateEvents events;
  {
    absl::MutexLock lock(&mutex_);
    batch_limits_ = batch;
    gate_.Resize(limits, clock_->Now(), &events);
    Wake();
  }
  Deliver(&events);
}

bool WorkerPool::AwaitIdle(TimePoint deadline) {
  absl::MutexLock lock(&mutex_);
  while (!gate_.idle() && clock_->Now() < deadline) {
    clock_->Wait(&became_idle_, &mutex_, deadline);
  }
  return gate_.idle();
}

void WorkerPool::SetWorkers(WorkerRange range) {
  absl::MutexLock lock(&mutex_);
  range_ = range;
  UpdateScaler(clock_->Now());
  Wake();
}

void WorkerPool::Join() {
  {
    absl::MutexLock lock(&mutex_);
    joining_ = true;
    work_arrived_.SignalAll();
    timer_changed_.SignalAll();
  }
  if (timer_.joinable()) timer_.join();
  // No lock is needed: the timer has ended, and nothing else changes
  // `workers_`.
  std::vector<std::thread*> threads;
  {
    absl::MutexLock lock(&mutex_);
    for (Worker& worker : workers_) threads.push_back(&worker.thread);
  }
  for (std::thread* thread : threads) thread->join();
  // Batches may have put tasks back into the queue after the drain ended.
  GateEvents events;
  {
    absl::MutexLock lock(&mutex_);
    workers_.clear();
    ended_ = 0;
    gate_.Expire(clock_->Now(), &events);
  }
  Deliver(&events);
}

PoolSnapshot WorkerPool::Snapshot() const {
  absl::MutexLock lock(&mutex_);
  PoolSnapshot snapshot = {
      .view = gate_.view(),
      .unread = gate_.unread(),
      .in_work = gate_.in_work(),
      .lanes = gate_.lanes(),
      .workers_busy = busy_,
      .workers_idle = workers_.size() - ended_ - busy_ - hung_,
      .workers_hung = hung_,
      .workers = range_,
      .hangs = hangs_,
      .circuit_open = gate_.circuit().open(),
      .retries = gate_.retries(),
      .counters = {}};
  snapshot.counters.reserve(options_.methods);
  for (std::size_t method = 0; method < options_.methods; ++method) {
    snapshot.counters.push_back(gate_.counters(method));
  }
  return snapshot;
}

std::vector<std::int64_t> WorkerPool::Sequences() const {
  std::vector<std::int64_t> sequences;
  VisitUnfinished(
      [&](const Task& task) { sequences.push_back(task.sequence); });
  return sequences;
}

void WorkerPool::Work(Worker* self) {
  PreferThroughput();
  std::vector<Task*> batch;
  std::vector<Task*> finished;
  batch.reserve(options_.batch.tasks);
  finished.reserve(options_.batch.tasks);
  while (Take(self, &batch)) {
    if (batch.empty()) continue;  // all queued tasks were deferred
    const StoreState store = Process(batch);
    // After Done the pool owns the tasks that are processed again. Collect the
    // other tasks before.
    finished.clear();
    std::ranges::copy_if(batch, std::back_inserter(finished),
                         [](const Task* task) { return !task->again; });
    Done(self, batch, store);
    processor_->HandBack(finished);
    batch.clear();
  }
}

bool WorkerPool::Take(Worker* self, std::vector<Task*>* batch) {
  GateEvents events;
  {
    absl::MutexLock lock(&mutex_);
    const auto ends = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
      return joining_ || workers_.size() - ended_ > WantedWorkers();
    };
    while (!gate_.ready() && !ends()) {
      ++sleeping_workers_;
      work_arrived_.Wait(&mutex_);
      --sleeping_workers_;
    }
    if (ends()) {
      self->ended = true;
      ++ended_;
      Wake();  // pass the wakeup on: another worker may have to take tasks
      return false;
    }
    const TimePoint now = clock_->Now();
    const bool full = !gate_.open();
    gate_.Take(batch_limits_, now, batch, &events);
    if (!batch->empty()) {
      self->batch = batch;
      self->since = now;
      ++busy_;
      next_hang_ = std::min(next_hang_, now + options_.task_timeout);
      scaler_.Begin(now - batch->front()->admitted_at, full, now);
    }
    Wake();
  }
  Deliver(&events);
  return true;
}

void WorkerPool::Done(Worker* self, std::span<Task* const> batch,
                      StoreState store) {
  GateEvents events;
  {
    absl::MutexLock lock(&mutex_);
    const TimePoint now = clock_->Now();
    const auto done = static_cast<std::size_t>(std::ranges::count_if(
        batch, [](const Task* task) { return !task->again; }));
    gate_.Done(batch, store, now, &events);
    self->batch = nullptr;
    if (self->hung) {
      self->hung = false;
      --hung_;
      UpdateScaler(now);
    } else {
      --busy_;
      scaler_.End(now - self->since, done, now);
    }
    Wake();
  }
  Deliver(&events);
}

StoreState WorkerPool::Process(std::span<Task* const> batch) {
  try {
    return processor_->Process(batch);
  } catch (...) {
    for (Task* task : batch) {
      task->result = TaskResult::kFailed;
      task->again = false;
    }
    return StoreState::kUntouched;
  }
}

void WorkerPool::KeepTime() {
  GateEvents events;
  absl::MutexLock lock(&mutex_);
  while (!joining_) {
    timer_due_ = NextDue();
    if (clock_->Now() < timer_due_) {
      clock_->Wait(&timer_changed_, &mutex_, timer_due_);
      continue;
    }
    const TimePoint now = clock_->Now();
    gate_.Expire(now, &events);
    scaler_.Look(now);
    const std::vector<WorkerHang> hangs = FindHangs(now);
    Wake();
    mutex_.Unlock();
    Deliver(&events);
    for (const WorkerHang& hang : hangs) {
      if (options_.on_hang) options_.on_hang(hang);
    }
    JoinEndedWorkers();
    StartWorkers();
    mutex_.Lock();
  }
}

void WorkerPool::StartWorkers() {
  for (;;) {
    Worker* worker = nullptr;
    {
      absl::MutexLock lock(&mutex_);
      if (joining_ || workers_.size() >= WantedWorkers() ||
          clock_->Now() < start_again_at_) {
        return;
      }
      worker = &workers_.emplace_back();
    }
    try {
      worker->thread = std::thread([this, worker] { Work(worker); });
    } catch (const std::system_error&) {
      absl::MutexLock lock(&mutex_);
      workers_.pop_back();
      start_again_at_ = clock_->Now() + kStartAgainAfter;
    }
  }
}

void WorkerPool::JoinEndedWorkers() {
  std::list<Worker> ended;
  {
    absl::MutexLock lock(&mutex_);
    for (auto it = workers_.begin(); it != workers_.end();) {
      const auto worker = it++;
      if (worker->ended) ended.splice(ended.end(), workers_, worker);
    }
    ended_ = 0;
  }
  for (Worker& worker : ended) worker.thread.join();
}

std::vector<WorkerHang> WorkerPool::FindHangs(TimePoint now) {
  std::vector<WorkerHang> hangs;
  if (now < next_hang_) return hangs;
  next_hang_ = kForever;
  for (Worker& worker : workers_) {
    if (worker.batch == nullptr || worker.hung) continue;
    const TimePoint hangs_at = worker.since + options_.task_timeout;
    if (now < hangs_at) {
      next_hang_ = std::min(next_hang_, hangs_at);
      continue;
    }
    worker.hung = true;
    --busy_;
    ++hung_;
    scaler_.Lose(now);
    hangs.push_back({now - worker.since, worker.batch->size()});
  }
  hangs_ += hangs.size();
  UpdateScaler(now);
  return hangs;
}

void WorkerPool::Deliver(GateEvents* events) {
  for (const Unparked& unparked : events->admitted) {
    unparked.listener->OnAdmitted(unparked.sequence);
  }
  for (const Ended& ended : events->ended) {
    ended.task->OnEnded(ended.result, ended.retry_delay);
  }
  events->clear();
}

void WorkerPool::Wake() {
  gate_.SetWorkers(WantedWorkers());
  full_.store(!gate_.open(), std::memory_order_relaxed);
  // Wake one worker only: it wakes the next after it has taken its batch.
  if (gate_.ready() && sleeping_workers_ > 0) work_arrived_.Signal();
  if (workers_.size() - ended_ > WantedWorkers()) {
    work_arrived_.SignalAll();
  }
  if (NextDue() < timer_due_) timer_changed_.Signal();
  if (gate_.idle()) became_idle_.SignalAll();
  if (restorers_ > 0 && (gate_.closed() || !gate_.room_to_restore().empty())) {
    room_to_restore_.SignalAll();
  }
}

TimePoint WorkerPool::NextDue() const {
  if (ended_ > 0) return TimePoint::min();
  TimePoint due =
      std::min({gate_.next_expiry(), scaler_.next_look(), next_hang_});
  if (workers_.size() < WantedWorkers()) due = std::min(due, start_again_at_);
  return due;
}

std::size_t WorkerPool::WantedWorkers() const {
  return std::min(scaler_.workers() + hung_, range_.max);
}

void WorkerPool::UpdateScaler(TimePoint now) {
  // Hung workers count towards the limit, but the scaler does not control them.
  const std::size_t max = range_.max > hung_ ? range_.max - hung_ : 1;
  scaler_.SetRange({std::min(range_.min, max), max}, now);
}

}  // namespace sluice
