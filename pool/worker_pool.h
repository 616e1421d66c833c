// A Gate with its lock, its clock and its workers, whose number follows the
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

// What workers do with the tasks that they take.
class Processor {
 public:
  virtual ~Processor() = default;

  // Works the batch and sets the outcome of each task, or `again` for one that
  // is promised; called by several workers at the same time. Tells what it has
  // learned of the store. What it throws fails the whole batch and nothing
  // else: what can be blamed on one task it should catch itself.
  virtual StoreState Process(std::span<Task* const> batch) = 0;

  // Hands those of a batch that are worked back to their owners, each by its
  // OnDone.
  virtual void HandBack(std::span<Task* const> tasks) {
    for (Task* task : tasks) task->OnDone();
  }
};

// A worker that is with one batch for longer than it should be.
struct WorkerHang {
  Duration age;       // since it took the batch
  std::size_t tasks;  // of the batch
};

struct WorkerPoolOptions {
  std::string name{};
  GateLimits limits{};
  WorkerRange workers{};
  // A worker that has a batch for longer hangs: another takes its place, if
  // there are fewer than `workers.max`.
  Duration task_timeout = std::chrono::seconds(60);
  // Told once of each such batch, from the pool's timer; may be empty.
  std::function<void(const WorkerHang&)> on_hang{};
  std::size_t batch_max = 256;  // at least 1
  std::size_t methods = 1;      // how many counters
};

// The pool at one moment: taken under its lock, so that it balances.
struct PoolSnapshot {
  PoolView view;
  std::size_t in_work = 0;
  std::size_t lanes = 0;
  // Workers by what they do, and between which numbers they are.
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

// Thread-safe. Tasks are handed back (OnEnded, OnDone) and listeners told from
// a worker, from the pool's timer, or from the thread that calls Arrive, Leave,
// Resize or Close, never under the pool's lock. No member but Join and
// AwaitIdle waits for more than that lock, which nobody holds over I/O.
class WorkerPool {
 public:
  // Starts the fewest workers. `processor`, `clock` and `sequence` (see Gate)
  // must outlive the pool.
  WorkerPool(WorkerPoolOptions options, Processor* processor, Clock* clock,
             std::atomic<std::int64_t>* sequence);
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;
  // Joins. What is still in the pool is not handed back: close and await idle
  // first.
  ~WorkerPool();

  const std::string& name() const { return options_.name; }

  // As those of the Gate; the first three at the present time.
  Admission Arrive(Task* task, const AdmissionPolicy& policy);
  // Nothing where the pool is not full().
  std::optional<Admission> TurnAway(Arrival arrival, std::size_t method,
                                    const AdmissionPolicy& policy);
  // Whether an arrival may not enter at once: a hint that costs one look at an
  // atomic.
  bool full() const { return full_.load(std::memory_order_relaxed); }
  bool Leave(Task* task);
  void CountArrival(std::size_t method, TaskResult result);
  void Restore(Task* task);
  void Committed(std::span<Task* const> tasks);
  void CommitFailed(std::span<Task* const> tasks);
  void Close(TimePoint until);

  // New limits, from now on; what is inside stays, however much it is (see
  // Gate). A worker's next batch has at most `batch_max`, which is at least 1.
  void Resize(const GateLimits& limits, std::size_t batch_max);

  // Waits until nothing waits, is queued or in work, at most until `deadline`.
  // True: it is idle.
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

  // The sequences of all that is admitted and not done.
  std::vector<std::int64_t> Sequences() const;

  // From now on there are at least `range.min` and at most `range.max` workers.
  // Those that are missing are started by the timer; those that are too many
  // end once they have done their batch.
  void SetWorkers(WorkerRange range);

  // Ends workers and timer; queued tasks are not worked any more. Waits for
  // batches in work.
  void Join();

  PoolSnapshot Snapshot() const;

 private:
  struct Worker {
    // Touched by who starts and joins workers, without the lock.
    std::thread thread;
    // What it works on, since when; null while it is idle.
    const std::vector<Task*>* batch = nullptr;
    TimePoint since{};
    bool hung = false;
    // It takes no more, and is to be joined.
    bool ended = false;
  };

  void Work(Worker* self);
  // Waits for work and takes it. False: the worker is to end.
  bool Take(Worker* self, std::vector<Task*>* batch);
  void Done(Worker* self, std::span<Task* const> batch, StoreState store);
  StoreState Process(std::span<Task* const> batch);

  void KeepTime();
  void StartWorkers();
  void JoinEndedWorkers();
  // Marks those that have come to hang, and returns what to tell of them.
  std::vector<WorkerHang> FindHangs(TimePoint now)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  // Hands back and tells what an event has made happen, and clears it.
  static void Deliver(GateEvents* events);
  // After anything that may have changed the Gate or the workers: wakes whom
  // it concerns.
  void Wake() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // When the timer has something to do.
  TimePoint NextDue() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // How many workers there should be, with those that hang.
  std::size_t WantedWorkers() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // After a change of the range, or of the workers that hang.
  void UpdateScaler(TimePoint now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const WorkerPoolOptions options_;
  Processor* const processor_;
  Clock* const clock_;

  // Whether an arrival would not enter; read without the lock as a hint.
  std::atomic<bool> full_{false};

  mutable absl::Mutex mutex_;
  absl::CondVar work_arrived_;
  absl::CondVar timer_changed_;
  absl::CondVar became_idle_;
  Gate gate_ ABSL_GUARDED_BY(mutex_);
  std::size_t batch_max_ ABSL_GUARDED_BY(mutex_);
  WorkerRange range_ ABSL_GUARDED_BY(mutex_);
  Scaler scaler_ ABSL_GUARDED_BY(mutex_);
  // With those that have ended and are not joined yet; at most range_.max are
  // started. Workers hold on to their own.
  std::list<Worker> workers_ ABSL_GUARDED_BY(mutex_);
  // Of these.
  std::size_t ended_ ABSL_GUARDED_BY(mutex_) = 0;
  std::size_t busy_ ABSL_GUARDED_BY(mutex_) = 0;  // and not hung
  std::size_t hung_ ABSL_GUARDED_BY(mutex_) = 0;
  std::size_t sleeping_workers_ ABSL_GUARDED_BY(mutex_) = 0;
  std::uint64_t hangs_ ABSL_GUARDED_BY(mutex_) = 0;
  // No worker comes to hang before that.
  TimePoint next_hang_ ABSL_GUARDED_BY(mutex_) = kForever;
  // After the system had no thread to give.
  TimePoint start_again_at_ ABSL_GUARDED_BY(mutex_){};
  // When the timer will look again.
  TimePoint timer_due_ ABSL_GUARDED_BY(mutex_) = kForever;
  bool joining_ ABSL_GUARDED_BY(mutex_) = false;

  std::thread timer_;
};

}  // namespace sluice

#endif  // SLUICE_POOL_WORKER_POOL_H_
