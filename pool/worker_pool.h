// A Gate with its lock, its clock and its workers.

#ifndef SLUICE_POOL_WORKER_POOL_H_
#define SLUICE_POOL_WORKER_POOL_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "absl/types/span.h"
#include "policies/admission_policy.h"
#include "pool/clock.h"
#include "pool/gate.h"
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
};

struct WorkerPoolOptions {
  std::string name{};
  GateLimits limits{};
  std::size_t workers = 1;      // at least 1
  std::size_t batch_max = 256;  // at least 1
  std::size_t methods = 1;      // how many counters
};

// The pool at one moment: taken under its lock, so that it balances.
struct PoolSnapshot {
  PoolView view;
  std::size_t in_work = 0;
  std::size_t workers_busy = 0;
  std::size_t workers_idle = 0;
  bool circuit_open = false;
  std::uint64_t retries = 0;
  std::vector<MethodCounters> counters;
};

// Thread-safe. Tasks are handed back (OnEnded, OnDone) and listeners told from
// a worker, from the pool's timer, or from the thread that calls Leave, Resize
// or Close, never under the pool's lock. No member but Join and AwaitIdle waits
// for more than that lock, which nobody holds over I/O.
class WorkerPool {
 public:
  // Starts the workers. `processor`, `clock` and `sequence` (see Gate) must
  // outlive the pool.
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
  // Costs one look at an atomic while there is room.
  std::optional<Admission> TurnAway(Arrival arrival, std::size_t method,
                                    const AdmissionPolicy& policy);
  bool Leave(Task* task);
  void CountInvalid(std::size_t method);
  void CountShared(std::size_t method, Outcome outcome);
  void CountShared(std::size_t method, const Admission& turned_away);
  void CountSharedLeft(std::size_t method);
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
    for (const std::vector<Task*>* batch : in_work_) {
      for (const Task* task : *batch) visit(*task);
    }
  }

  // The sequences of all that is admitted and not done.
  std::vector<std::int64_t> Sequences() const;

  // Ends workers and timer; queued tasks are not worked any more. Waits for
  // batches in work.
  void Join();

  PoolSnapshot Snapshot() const;

 private:
  void Work();
  StoreState Process(std::span<Task* const> batch);
  void KeepTime();
  // Hands back and tells what an event has made happen, and clears it.
  static void Deliver(GateEvents* events);
  // After anything that may have changed the Gate: wakes whom it concerns.
  void Wake() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

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
  std::size_t sleeping_workers_ ABSL_GUARDED_BY(mutex_) = 0;
  // The batches of the workers that are busy.
  std::vector<const std::vector<Task*>*> in_work_ ABSL_GUARDED_BY(mutex_);
  // When the timer will look again.
  TimePoint timer_due_ ABSL_GUARDED_BY(mutex_) = kForever;
  bool joining_ ABSL_GUARDED_BY(mutex_) = false;

  std::vector<std::thread> threads_;
};

}  // namespace sluice

#endif  // SLUICE_POOL_WORKER_POOL_H_
