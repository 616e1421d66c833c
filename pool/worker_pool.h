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

// Processes the tasks that workers take.
class Processor {
 public:
  virtual ~Processor() = default;

  // Processes the batch: sets the result of each task, or `again` for a
  // promised task that must be processed again. Returns the state of the store.
  // Called by several workers at the same time. If an exception escapes, the
  // whole batch fails; the processor should therefore catch exceptions that a
  // single task causes.
  virtual StoreState Process(std::span<Task* const> batch) = 0;

  // Returns the processed tasks of a batch to their owners, by OnDone.
  virtual void HandBack(std::span<Task* const> tasks) {
    for (Task* task : tasks) task->OnDone();
  }
};

// A worker that has been busy with one batch for longer than `task_timeout`.
struct WorkerHang {
  Duration age;       // time since the worker took the batch
  std::size_t tasks;  // number of tasks in the batch
};

struct WorkerPoolOptions {
  std::string name{};
  GateLimits limits{};
  WorkerRange workers{};
  // A worker that has a batch for longer than this is hung. Another worker
  // replaces it if there are fewer than `workers.max`.
  Duration task_timeout = std::chrono::seconds(60);
  // Called once for each batch that hangs, from the pool's timer; may be empty.
  std::function<void(const WorkerHang&)> on_hang{};
  BatchLimits batch{};
  std::size_t methods = 1;  // number of methods that are counted
};

// State of the pool at one moment. Taken under the pool's lock, so that the
// counters balance.
struct PoolSnapshot {
  PoolView view;
  // Unread entries (Gate::SetUnread). `view.depth` includes them.
  std::size_t unread = 0;
  std::size_t in_work = 0;
  std::size_t lanes = 0;
  // Number of workers by state, and the limits of their number.
  std::size_t workers_busy = 0;
  std::size_t workers_idle = 0;
  std::size_t workers_hung = 0;
  WorkerRange workers{};
  // Number of times that a worker has hung.
  std::uint64_t hangs = 0;
  bool circuit_open = false;
  std::uint64_t retries = 0;
  std::vector<MethodCounters> counters;
};

// Thread-safe. OnEnded, OnDone and listeners are called by a worker, by the
// pool's timer, or by the thread that calls a member, never under the pool's
// lock. Join, AwaitIdle and AwaitRoomToRestore wait for workers. All other
// members wait at most for the lock, which nobody holds over I/O.
class WorkerPool {
 public:
  // Starts `workers.min` workers. `processor`, `clock` and `sequence` (see
  // Gate) must outlive the pool.
  WorkerPool(WorkerPoolOptions options, Processor* processor, Clock* clock,
             std::atomic<std::int64_t>* sequence);
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;
  // Calls Join. Does not return tasks that are still in the pool: call Close
  // and AwaitIdle first.
  ~WorkerPool();

  const std::string& name() const { return options_.name; }
  // Time of the pool's clock.
  TimePoint Now() const { return clock_->Now(); }

  // The members below call the members of Gate with the same names, at the
  // present time.
  Admission Arrive(Task* task, const AdmissionPolicy& policy);
  // Like Gate::TurnAway. Returns nothing if full() is false.
  std::optional<Admission> TurnAway(Arrival arrival, std::size_t method,
                                    const AdmissionPolicy& policy);
  // True if an arrival may not be admitted at once. The result is only a hint,
  // which costs one atomic read.
  bool full() const { return full_.load(std::memory_order_relaxed); }
  bool Leave(Task* task);
  void CountArrival(std::size_t method, TaskResult result);
  bool Restore(Task* task);
  void SetUnread(std::size_t entries);
  std::size_t FirstCommitting(std::span<Task* const> tasks) const;
  void Committed(std::span<Task* const> tasks);
  void CommitFailed(std::span<Task* const> tasks);
  void Close(TimePoint until, Promises promises = Promises::kInMemory);

  // Waits until an entry of a journal may be restored within the limits, but at
  // least until `not_before`. Returns the room, which is empty once the pool is
  // closed.
  RoomToRestore AwaitRoomToRestore(TimePoint not_before);
  RoomToRestore room_to_restore() const;

  // Sets new limits. Tasks that are inside stay (see Gate). Batches that are
  // taken later are limited by `batch`.
  void Resize(const GateLimits& limits, const BatchLimits& batch);

  // Waits until no task is parked, queued or in work, at most until `deadline`.
  // Returns true if the pool is idle.
  bool AwaitIdle(TimePoint deadline);

  // Calls `visit` with each admitted task that is not done, under the pool's
  // lock. Serves the report after a drain that did not finish.
  template <typename Visitor>
  void VisitUnfinished(Visitor visit) const {
    absl::MutexLock lock(&mutex_);
    for (const Task* task : gate_.queued()) visit(*task);
    for (const Task* task : gate_.committing()) visit(*task);
    for (const Worker& worker : workers_) {
      if (worker.batch == nullptr) continue;
      for (const Task* task : *worker.batch) visit(*task);
    }
  }

  // Returns the sequence numbers of all admitted tasks that are not done.
  std::vector<std::int64_t> Sequences() const;

  // Sets the limits of the number of workers. The timer starts workers that are
  // missing. Surplus workers end after their batch.
  void SetWorkers(WorkerRange range);

  // Ends workers and timer, after the batches in work. Tasks that are still
  // queued are not processed.
  void Join();

  PoolSnapshot Snapshot() const;

 private:
  struct Worker {
    // Not guarded by the lock: used only by the thread that starts and joins
    // workers.
    std::thread thread;
    // The batch in work, null while the worker is idle, and the time when the
    // worker took it.
    const std::vector<Task*>* batch = nullptr;
    TimePoint since{};
    bool hung = false;
    // True if the worker takes no more batches and can be joined.
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
  // Marks workers that have become hung, and returns them for `on_hang`.
  std::vector<WorkerHang> FindHangs(TimePoint now)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  // Carries out events, without the lock, and clears them.
  static void Deliver(GateEvents* events);
  // Wakes the threads that must act on a change of the Gate or of the workers.
  void Wake() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Returns the time when the timer is due next.
  TimePoint NextDue() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Returns the number of workers that there should be, including hung workers.
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
  absl::CondVar room_to_restore_;
  Gate gate_ ABSL_GUARDED_BY(mutex_);
  BatchLimits batch_limits_ ABSL_GUARDED_BY(mutex_);
  WorkerRange range_ ABSL_GUARDED_BY(mutex_);
  Scaler scaler_ ABSL_GUARDED_BY(mutex_);
  // Workers, including ended ones that are not joined yet. Each thread keeps a
  // pointer to its own entry.
  std::list<Worker> workers_ ABSL_GUARDED_BY(mutex_);
  // Ended workers in `workers_`.
  std::size_t ended_ ABSL_GUARDED_BY(mutex_) = 0;
  std::size_t busy_ ABSL_GUARDED_BY(mutex_) = 0;  // not counting hung workers
  std::size_t hung_ ABSL_GUARDED_BY(mutex_) = 0;
  std::size_t sleeping_workers_ ABSL_GUARDED_BY(mutex_) = 0;
  // Threads in AwaitRoomToRestore.
  std::size_t restorers_ ABSL_GUARDED_BY(mutex_) = 0;
  std::uint64_t hangs_ ABSL_GUARDED_BY(mutex_) = 0;
  // Earliest time at which a worker can become hung.
  TimePoint next_hang_ ABSL_GUARDED_BY(mutex_) = kForever;
  // Time of the next try, if the system could not start a thread.
  TimePoint start_again_at_ ABSL_GUARDED_BY(mutex_){};
  // Time when the timer wakes up next.
  TimePoint timer_due_ ABSL_GUARDED_BY(mutex_) = kForever;
  bool joining_ ABSL_GUARDED_BY(mutex_) = false;

  std::thread timer_;
};

}  // namespace sluice

#endif  // SLUICE_POOL_WORKER_POOL_H_
