#include "pool/worker_pool.h"

#include <pthread.h>
#include <sched.h>

#include <algorithm>
#include <iterator>
#include <random>
#include <utility>

namespace sluice {
namespace {

// Tells the scheduler that this thread is for throughput: waking it does not
// interrupt a completion loop on the same core, which so gathers larger
// batches. Where it is not allowed, nothing is lost but speed.
void PreferThroughput() {
  const sched_param no_priority{};
  pthread_setschedparam(pthread_self(), SCHED_BATCH, &no_priority);
}

}  // namespace

WorkerPool::WorkerPool(WorkerPoolOptions options, Processor* processor,
                       Clock* clock, std::atomic<std::int64_t>* sequence)
    : options_(std::move(options)),
      processor_(processor),
      clock_(clock),
      gate_(options_.limits, options_.methods, sequence,
            std::random_device()()),
      batch_max_(options_.batch_max) {
  threads_.reserve(options_.workers + 1);
  for (std::size_t i = 0; i < options_.workers; ++i) {
    threads_.emplace_back([this] { Work(); });
  }
  threads_.emplace_back([this] { KeepTime(); });
}

WorkerPool::~WorkerPool() { Join(); }

Admission WorkerPool::Arrive(Task* task, const AdmissionPolicy& policy) {
  absl::MutexLock lock(&mutex_);
  const Admission admission = gate_.Arrive(task, policy, clock_->Now());
  Wake();
  return admission;
}

std::optional<Admission> WorkerPool::TurnAway(Arrival arrival,
                                              std::size_t method,
                                              const AdmissionPolicy& policy) {
  if (!full_.load(std::memory_order_relaxed)) return std::nullopt;
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

void WorkerPool::CountInvalid(std::size_t method) {
  absl::MutexLock lock(&mutex_);
  gate_.CountInvalid(method);
}

void WorkerPool::CountShared(std::size_t method, Outcome outcome) {
  absl::MutexLock lock(&mutex_);
  gate_.CountShared(method, outcome);
}

void WorkerPool::CountShared(std::size_t method, const Admission& turned_away) {
  absl::MutexLock lock(&mutex_);
  gate_.CountShared(method, turned_away);
}

void WorkerPool::CountSharedLeft(std::size_t method) {
  absl::MutexLock lock(&mutex_);
  gate_.CountSharedLeft(method);
}

void WorkerPool::Restore(Task* task) {
  absl::MutexLock lock(&mutex_);
  gate_.Restore(task, clock_->Now());
  Wake();
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

void WorkerPool::Close(TimePoint until) {
  GateEvents events;
  {
    absl::MutexLock lock(&mutex_);
    gate_.Close(until, &events);
    Wake();
  }
  Deliver(&events);
}

void WorkerPool::Resize(const GateLimits& limits, std::size_t batch_max) {
  GateEvents events;
  {
    absl::MutexLock lock(&mutex_);
    batch_max_ = batch_max;
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

void WorkerPool::Join() {
  {
    absl::MutexLock lock(&mutex_);
    joining_ = true;
    work_arrived_.SignalAll();
    timer_changed_.SignalAll();
  }
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

PoolSnapshot WorkerPool::Snapshot() const {
  absl::MutexLock lock(&mutex_);
  PoolSnapshot snapshot = {.view = gate_.view(),
                           .in_work = gate_.in_work(),
                           .workers_busy = in_work_.size(),
                           .workers_idle = options_.workers - in_work_.size(),
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
  const auto add = [&](const Task* task) {
    sequences.push_back(task->sequence);
  };
  absl::MutexLock lock(&mutex_);
  std::ranges::for_each(gate_.queued(), add);
  std::ranges::for_each(gate_.committing(), add);
  for (const std::vector<Task*>* batch : in_work_) {
    std::ranges::for_each(*batch, add);
  }
  return sequences;
}

void WorkerPool::Work() {
  PreferThroughput();
  std::vector<Task*> batch;
  std::vector<Task*> finished;
  batch.reserve(options_.batch_max);
  finished.reserve(options_.batch_max);
  GateEvents events;
  for (;;) {
    {
      absl::MutexLock lock(&mutex_);
      while (!gate_.ready() && !joining_) {
        ++sleeping_workers_;
        work_arrived_.Wait(&mutex_);
        --sleeping_workers_;
      }
      if (joining_) return;
      gate_.Take(batch_max_, clock_->Now(), &batch, &events);
      if (!batch.empty()) in_work_.push_back(&batch);
      Wake();
    }
    Deliver(&events);
    if (batch.empty()) continue;  // all stand aside for another batch

    const StoreState store = Process(batch);
    // Those that are worked again are not this thread's any more after Done.
    finished.clear();
    std::ranges::copy_if(batch, std::back_inserter(finished),
                         [](const Task* task) { return !task->again; });

    {
      absl::MutexLock lock(&mutex_);
      gate_.Done(batch, store, clock_->Now(), &events);
      in_work_.erase(std::ranges::find(in_work_, &batch));
      Wake();
    }
    Deliver(&events);
    for (Task* task : finished) task->OnDone();
    batch.clear();
  }
}

StoreState WorkerPool::Process(std::span<Task* const> batch) {
  try {
    return processor_->Process(batch);
  } catch (...) {
    for (Task* task : batch) {
      task->outcome = Outcome::kFailed;
      task->again = false;
    }
    return StoreState::kUntouched;
  }
}

void WorkerPool::KeepTime() {
  GateEvents events;
  absl::MutexLock lock(&mutex_);
  while (!joining_) {
    timer_due_ = gate_.next_expiry();
    if (clock_->Now() < timer_due_) {
      clock_->Wait(&timer_changed_, &mutex_, timer_due_);
      continue;
    }
    gate_.Expire(clock_->Now(), &events);
    Wake();
    mutex_.Unlock();
    Deliver(&events);
    mutex_.Lock();
  }
}

void WorkerPool::Deliver(GateEvents* events) {
  for (const LetIn& let_in : events->admitted) {
    let_in.listener->OnAdmitted(let_in.sequence);
  }
  for (const Ended& ended : events->ended) {
    ended.task->OnEnded(ended.ending, ended.retry_delay);
  }
  events->clear();
}

void WorkerPool::Wake() {
  full_.store(!gate_.open(), std::memory_order_relaxed);
  if (gate_.ready() && sleeping_workers_ > 0) work_arrived_.Signal();
  if (gate_.next_expiry() < timer_due_) timer_changed_.Signal();
  if (gate_.idle()) became_idle_.SignalAll();
}

}  // namespace sluice
