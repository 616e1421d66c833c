// A Gate with its lock, clock and workers. The number of workers follows the
// load (scaler.h).

#ifndef SLUICE_POOL_WORKER_POOL_H_
#define SLUICE_POOL_WORKER_POOL_H_

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "absl/types/span.h"
#include "base/clock.h"
#include "policies/admission_policy.h"
#include "pool/gate.h"
#include "pool/scaler.h"
#include "pool/task.h"

namespace sluice {

// Works the tasks that workers take.
class Processor {
 public:
  virtual ~Processor() = default;

  // Works the batch: sets the result of each task, or `again` for a promised
  // task that is to be worked again. Returns the state of the store. Called by
  // several workers at the same time. An exception fails the whole batch and
  // nothing else; the processor should catch what only one task is to blame
  // for.
  virtual StoreState Process(std::span<Task* const> batch) = 0;

  // Returns the worked tasks of a batch to their owners, by OnDone.
  virtual void HandBack(std::span<Task* const> tasks) {
    for (Task* task : tasks) task->OnDone();
  }
};

// A worker that has had one batch for longer than `task_timeout`.
struct WorkerHang {
  Duration age;       // since the worker took the batch
  std::size_t tasks;  // in the batch
};

struct WorkerPoolOptions {
  std::string name{};
  GateLimits limits{};
  WorkerRange workers{};
  // A worker that has a batch for longer is hung. Another takes its place, if
  // there are fewer than `workers.max`.
  Duration task_timeout = std::chrono::seconds(60);
  // Called once for each such batch, from the pool's timer; may be empty.
  std::function<void(const WorkerHang&)> on_hang{};
  std::size_t batch_max = 256;  // at least 1
  std::size_t methods = 1;      // how many counters
};

// State of the pool at one moment, taken under its lock, so that it balances.
struct PoolSnapshot {
  PoolView view;
  std::size_t in_work = 0;
  std::size_t lanes = 0;
  // Workers by state, and the limits of their number.
  std::size_t workers_busy = 0;
  std::size_t workers_idle = 0;
  std::size_t workers_hung = 0;
  WorkerRange workers{};
  // How often a worker has hung.
  std::uint64_t hangs = 0;
  bool circuit_open = false;
  std::uint64_t retries = 0;
  std::vector<MethodCounters> counters;
};

// Thread-safe. Tasks are returned (OnEnded, OnDone) and listeners told by a
// worker, by the pool's timer, or by the thread that calls a member, never
// under the pool's lock. No member but Join and AwaitIdle waits for more than
// that lock, which nobody holds over I/O.
class WorkerPool {
 public:
  // Starts `workers.min` workers. `processor`, `clock` and `sequence` (see
  // Gate) must outlive the pool.
  WorkerPool(WorkerPoolOptions options, Processor* processor, Clock* clock,
             std::atomic<std::int64_t>* sequence);
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;
  // Joins. Tasks that are still in the pool are not returned: call Close and
  // AwaitIdle first.
  ~WorkerPool();

  const std::string& name() const { return options_.name; }

  // The members below do what the members of Gate with the same names do, at
  // the present time.
  Admission Arrive(Task* task, const AdmissionPolicy& policy);
  // Returns nothing unless the pool is full().
  std::optional<Admission> TurnAway(Arrival arrival, std::size_t method,
                                    const AdmissionPolicy& policy);
  // True if an arrival may not be admitted at once: a hint that costs one
  // atomic read.
  bool full() const { return full_.load(std::memory_order_relaxed); }
  bool Leave(Task* task);
  void CountArrival(std::size_t method, TaskResult result);
  void Restore(Task* task);
  void Committed(std::span<Task* const> tasks);
  void CommitFailed(std::span<Task* const> tasks);
  void Close(TimePoint until);

  // Sets new limits. Tasks that are inside stay (see Gate). Batches that are
  // taken from now on have at most `batch_max` tasks, at least 1.
  void Resize(const GateLimits& limits, std::size_t batch_max);

  // Waits until no task is parked, queued or in work, at most until `deadline`.
  // Returns true if the pool is idle.
  bool AwaitIdle(TimePoint deadline);

  // Calls `visit` with each task that is in work, under the pool's lock: for
  // the report on a drain that could not end.
  template <typename Visitor>
  void VisitInWork(Visitor visit) const {
    absl::MutexLock lock(&mutex_);
    for (const Worker& worker : workers_) {
      if (worker.batch == nullptr) continue;
      for (const Task* task : *worker.batch) visit(*task);
    }
  }

  // Sequence numbers of all tasks that are admitted and not done.
  std::vector<std::int64_t> Sequences() const;

  // Sets the limits of the number of workers. The timer starts workers that are
  // missing. Surplus workers end after their batch.
  void SetWorkers(WorkerRange range);

  // Ends workers and timer. Queued tasks are not worked any more. Waits for
  // batches in work.
  void Join();

  PoolSnapshot Snapshot() const;

 private:
  struct Worker {
    // Used without the lock, by the thread that starts and joins workers.
    std::thread thread;
    // The batch in work, and since when; null while the worker is idle.
    const std::vector<Task*>* batch = nullptr;
    TimePoint since{};
    bool hung = false;
    // The worker takes no more batches and can be joined.
    bool ended = false;
  };

  void Work(Worker* self);
  // Waits for tasks and takes a batch. Returns false if the worker must end.
  bool Take(Worker* self, std::vector<Task*>* batch);
  void Done(Worker* self, std::span<Task* const> batch, StoreState store);
  StoreState Process(std::span<Task* const> batch);

  void KeepTime();
  void StartWorkers();
  void JoinEndedWorkers();
  // Marks workers that have become hung, and returns what to report of them.
  std::vector<WorkerHang> FindHangs(TimePoint now)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  // Carries out events, without the lock, and clears them.
  static void Deliver(GateEvents* events);
  // Wakes the threads that a change of the Gate or of the workers concerns.
  void Wake() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Returns when the timer is due next.
  TimePoint NextDue() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Returns how many workers there should be, including hung ones.
  std::size_t WantedWorkers() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // To be called after a change of the range or of the number of hung workers.
  void UpdateScaler(TimePoint now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const WorkerPoolOptions options_;
  Processor* const processor_;
  Clock* const clock_;

  // True if an arrival would not be admitted; read without the lock, as a hint.
  std::atomic<bool> full_{false};

  mutable absl::Mutex mutex_;
  absl::CondVar work_arrived_;
  absl::CondVar timer_changed_;
  absl::CondVar became_idle_;
  Gate gate_ ABSL_GUARDED_BY(mutex_);
  std::size_t batch_max_ ABSL_GUARDED_BY(mutex_);
  WorkerRange range_ ABSL_GUARDED_BY(mutex_);
  Scaler scaler_ ABSL_GUARDED_BY(mutex_);
  // Workers, including ended ones that are not joined yet. Each thread keeps a
  // pointer to its own entry.
  std::list<Worker> workers_ ABSL_GUARDED_BY(mutex_);
  // Ended workers in `workers_`.
  std::size_t ended_ ABSL_GUARDED_BY(mutex_) = 0;
  std::size_t busy_ ABSL_GUARDED_BY(mutex_) = 0;  // without hung workers
  std::size_t hung_ ABSL_GUARDED_BY(mutex_) = 0;
  std::size_t sleeping_workers_ ABSL_GUARDED_BY(mutex_) = 0;
  std::uint64_t hangs_ ABSL_GUARDED_BY(mutex_) = 0;
  // No worker becomes hung before this time.
  TimePoint next_hang_ ABSL_GUARDED_BY(mutex_) = kForever;
  // When to try again after the system could not start a thread.
  TimePoint start_again_at_ ABSL_GUARDED_BY(mutex_){};
  // When the timer wakes up next.
  TimePoint timer_due_ ABSL_GUARDED_BY(mutex_) = kForever;
  bool joining_ ABSL_GUARDED_BY(mutex_) = false;

  std::thread timer_;
};

}  // namespace sluice

#endif  // SLUICE_POOL_WORKER_POOL_H_
