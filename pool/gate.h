// Queue, waiting room and work in progress of one pool, as one deterministic
// state machine.
//
// A Gate has no thread, clock, lock or I/O. Events go in with the time, and
// what must happen now comes out (GateEvents). The shell around it,
// worker_pool.h, brings the lock and the threads, and carries out the events
// after it has released the lock.
//
//              Arrive                Take             Done
//   outside ───────────► queued ───────────► in work ──────► outside
//      │                 ▲ ▲  │ ◄─────────────── again
//      │       Committed │ │  │ Leave, Close, circuit, eviction
//      │       committing  │  └──────────────────────────────► outside
//      │ no room: policy   │
//      ▼                   │ room
//   parked ────────────────┘
//      │ Leave, Expire, Close, circuit
//      └─────────────────────────────────────────────────────► outside
//
// A task that needs a commit is `committing` before it can be taken. It counts
// as queued from its admission on. So does a task that is deferred because a
// batch has tasks of its key.
//
// Promises, after every event (CheckInvariants):
//  - Bounds. Queued tasks are at most `capacity`. Tasks that are queued or in
//    work have at most `capacity_bytes`. Parked tasks are at most
//    `waiting_max`, and their bytes at most `waiting_max_bytes`. A task larger
//    than a limit of bytes enters alone. Resize, Restore and tasks that are
//    worked again may exceed a limit. Until it holds again nothing enters.
//  - Order of admission. No task is parked while there is room for the first
//    parked task. The first to come is the first to enter, whatever the policy
//    of its method.
//  - Eviction (Verdict::EvictOldest). An arrival evicts tasks of its own method
//    and its own lane that are queued and may be evicted (eviction.h), oldest
//    first: one, and more only for its bytes. It evicts nothing while a task is
//    parked, or while a limit is exceeded. If eviction would not make room, the
//    arrival is dropped and nothing is evicted.
//  - Lanes. In a pool that is shared by lanes (`by_lane`), the order of
//    admission holds within each lane. Among lanes the Gate is fair
//    (fair_queue.h): all lanes are served in turn, and no task enters a lane
//    that has more queued, or parked, than there is room left. The first parked
//    task is the first of the lane with the fewest queued, in each class.
//  - Keys. Tasks of one key are worked in the order of their admission, and
//    never in two batches at once.
//  - Hopeless tasks. A caller who waits for a result that would come too late,
//    by the backlog and the measured rate, is refused at once. If this shows
//    only later, the task is not begun. For callers who wait for a result, a
//    standing queue (standing_queue.h) counts as full.
//  - Circuit. While the circuit is open and its retry is not due, no caller
//    waits for a result: only promised tasks are parked or queued. While the
//    circuit is failing, one batch at a time is in work as its probe.
//  - Counters balance, per method (MethodCounters::Balanced).

#ifndef SLUICE_POOL_GATE_H_
#define SLUICE_POOL_GATE_H_

#include <array>
#include <atomic>
#include <chrono>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <random>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "policies/admission_policy.h"
#include "pool/circuit.h"
#include "pool/drain_rate.h"
#include "pool/eviction.h"
#include "pool/fair_queue.h"
#include "pool/gate_limits.h"
#include "pool/key_order.h"
#include "pool/returning_callers.h"
#include "pool/service_rate.h"
#include "pool/standing_queue.h"
#include "pool/task.h"
#include "pool/task_list.h"

namespace sluice {

// The Gate's answer to an arrival.
struct Admission {
  enum class Kind { kAdmitted, kParked, kEnded };

  Kind kind = Kind::kAdmitted;
  std::int64_t sequence = 0;  // of kAdmitted
  TaskResult result{};        // of kEnded: a refusal or kDropped
  Duration retry_delay{};     // of a refusal: when room is expected
};

// A parked task that has been admitted.
struct Unparked {
  AdmissionListener* listener;
  std::int64_t sequence;
};

// A task that the Gate has ended, unworked, and returned to its owner.
struct Ended {
  Task* task;
  TaskResult result;
  Duration retry_delay;  // when room is expected
};

// Consequences of an event, to be carried out without the lock.
struct GateEvents {
  std::vector<Unparked> admitted;
  std::vector<Ended> ended;

  bool empty() const { return admitted.empty() && ended.empty(); }
  void clear() {
    admitted.clear();
    ended.clear();
  }
};

// Counters of a method: totals since the start, and tasks that are inside now.
struct MethodCounters {
  std::uint64_t received = 0;
  std::uint64_t admitted = 0;
  // Ends by result: of arrivals that were not admitted, and of admitted tasks.
  ResultCounts not_admitted;
  ResultCounts completed;
  // Arrivals of which another policy was asked as well, by what that policy
  // would have done (Verdict::shadow).
  std::array<std::uint64_t, kVerdictKinds> shadow{};
  std::size_t waiting = 0;
  std::size_t queued = 0;
  std::size_t in_work = 0;

  // received = admitted + not admitted + waiting
  // and admitted = completed + queued + in work.
  bool Balanced() const;

  bool operator==(const MethodCounters&) const = default;
};

// State of the store behind the pool, as a batch has seen it.
enum class StoreState {
  kUntouched,
  kUp,
  kDown,
};

class Gate {
 public:
  // `methods` is the number of counters. Admissions get sequence numbers from
  // the value of `sequence` + 1; several Gates may share it, and it must
  // outlive them. `seed` is for the jitter of retries.
  Gate(const GateLimits& limits, std::size_t methods,
       std::atomic<std::int64_t>* sequence, std::uint32_t seed = 1);

  // Admits the task, or does what the policy says. kEnded returns the task to
  // its owner. Tasks that the arrival evicts are ended with kDropped.
  Admission Arrive(Task* task, const AdmissionPolicy& policy, TimePoint now,
                   GateEvents* events);

  // Answers an arrival before its request is read, if Arrive would end it:
  // returns that answer and counts it. Returns nothing otherwise. If the lane
  // of the arrival is not known, answers only if Arrive would end it in any
  // lane.
  std::optional<Admission> TurnAway(const Arrival& arrival, std::size_t method,
                                    const AdmissionPolicy& policy);

  // Counts an arrival that ended without coming through the Gate: an invalid
  // one, or one that shared the result of another. Counts it as admitted if the
  // result is one of work (IsWorked).
  void CountArrival(std::size_t method, TaskResult result);

  // Queues a task from before a restart, with the sequence number that it had,
  // whatever the limits. The task must be promised.
  void Restore(Task* task, TimePoint now, GateEvents* events);

  // These admitted tasks, in the order of their sequence numbers, are durable
  // now and can be taken. They must be committing.
  void Committed(std::span<Task* const> tasks);
  // These tasks could not be made durable: they are counted as
  // kStoreUnavailable, and returned to their owner. They must be committing.
  void CommitFailed(std::span<Task* const> tasks, TimePoint now,
                    GateEvents* events);

  // Moves up to `max` tasks from the queue into work, first come first of each
  // lane, and appends them to `batch`. Tasks whose key another batch has are
  // deferred.
  void Take(std::size_t max, TimePoint now, std::vector<Task*>* batch,
            GateEvents* events);

  // Takes back a whole batch that Take gave. Returns the tasks to their owner,
  // each with its result, except for tasks that are to be worked again
  // (Task::again; only promised tasks): these are queued before all others of
  // their lanes.
  void Done(std::span<Task* const> batch, StoreState store, TimePoint now,
            GateEvents* events);

  // The caller of `task` has cancelled or disconnected. Returns true if the
  // task was parked or queued; it is then returned to its owner. Returns false
  // if it is in work, committing, queued and promised, or outside.
  bool Leave(Task* task, TimePoint now, GateEvents* events);

  // Ends the waits that are over by `now`, and the pause after a failure of the
  // store.
  void Expire(TimePoint now, GateEvents* events);
  // Returns when Expire is due next; kForever if nothing is.
  TimePoint next_expiry() const;

  // Sets new limits. Smaller ones remove nothing that is inside. Tasks stay in
  // the lanes that they are in.
  void Resize(const GateLimits& limits, TimePoint now, GateEvents* events);

  // Refuses every arrival from now on, and ends all parked tasks. Expire ends
  // tasks that are still queued at `until`.
  void Close(TimePoint until, GateEvents* events);

  // Returns the first promise, or other invariant, that is broken; empty if all
  // hold. In builds with assertions events call it: at first every event of a
  // small pool, later and in large pools some. To be called after events, and
  // regularly from the first: bounds are judged by what was inside at the call
  // before. O(tasks + lanes).
  std::string CheckInvariants();

  // True if an arrival of one byte would be admitted at once. By lanes: false
  // as soon as an arrival of some lane might not be.
  bool open() const;
  // True if Take would look at the queue.
  bool ready() const;
  // True if no task is parked, queued or in work.
  bool idle() const;
  std::size_t depth() const { return queued_; }
  std::size_t in_work() const { return in_work_; }
  // Lanes that have queued or parked tasks.
  std::size_t lanes() const { return queue_.lanes(); }
  const Circuit& circuit() const { return circuit_; }
  // How often tasks came back to be worked again.
  std::uint64_t retries() const { return retries_; }
  PoolView view() const;
  const MethodCounters& counters(std::size_t method) const {
    return counters_[method];
  }

  // For reports. Deferred tasks, then the tasks that can be taken, lane by
  // lane.
  std::vector<const Task*> queued() const;
  // Admitted tasks that are not committed yet.
  std::vector<const Task*> committing() const;
  // Parked tasks, first come first.
  std::vector<const Task*> waiting() const;

 private:
  // When a wait ends. `order` decides between equal times.
  struct Expiry {
    TimePoint at;
    std::uint64_t order;
    Task* task;
    auto operator<=>(const Expiry&) const = default;
  };

  // --- Room ---

  // True if there is room for one more task of the lane.
  bool HasRoom(const Lane& lane, std::size_t bytes, bool promised) const;
  // True if the capacity allows one more task in a lane that has `depth`
  // queued.
  bool HasPlace(std::size_t depth) const;
  // True if `bytes` fit, for a lane that has `bytes_of_lane` queued.
  bool BytesFit(std::size_t bytes_of_lane, std::size_t bytes) const;
  // How much of the room is reserved for other lanes, for a lane that has
  // `taken`: as much again. So a lane never takes more than it leaves free, and
  // another lane finds some room: a dynamic threshold (A. Choudhury, E. Hahne,
  // 1998).
  std::size_t Reserved(std::size_t taken) const {
    return queue_.by_lane() ? taken : 0;
  }
  // True if a task that waits for a result would only make a standing queue of
  // the lane, or of the pool, longer.
  bool HasStandingQueue(const Lane& lane) const;
  bool HasWaitingRoom(const Lane& lane, std::size_t bytes) const;

  // --- Who is first ---

  // True if an arrival of the lane comes behind a parked task.
  bool ComesBehindParked(const Lane& lane) const;
  // True if the lane has nothing queued, but its first parked task does not fit
  // by bytes. While this holds for a lane that is next, nobody is admitted, so
  // that bytes can drain for it.
  bool AwaitsBytes(const Lane& lane) const;
  // Returns the first parked task, if there is room for it; otherwise null.
  Task* NextToAdmit() const;
  // Admits parked tasks while there is room for the first.
  void AdmitParked(TimePoint now, GateEvents* events);

  // --- Arrivals ---

  // Decides about an arrival of the lane. Asks the policy if there is no room,
  // and sets `asked` to its verdict; for kParked its `until` is the end of
  // the wait. For kAdmitted with a verdict the arrival must evict (EvictFor).
  Admission Decide(const Arrival& arrival, std::size_t method, Lane* lane,
                   const AdmissionPolicy& policy, TimePoint now,
                   std::optional<Verdict>* asked);
  // Records that an arrival of the lane found no room.
  void TurnedAway(Lane* lane, TimePoint now);
  // Refuses for want of room; the caller will come again.
  Admission RefuseForNow(TaskResult reason, TimePoint now);
  Admission Refusal(TaskResult reason) const;
  // When room for one more is expected, by the backlog and the measured rate.
  Duration ExpectedRoom() const;
  // True while no arrival that waits for a result is admitted, since the
  // circuit is open.
  bool ResultsUnavailable() const { return paused_ && circuit_.open(); }
  static void CountShadow(const std::optional<Verdict>& verdict,
                          MethodCounters* counters);

  // --- Eviction ---

  // True if eviction makes room for an arrival of `method`, in a lane for which
  // there is no room. If `lane_known` is false: in any lane.
  bool CanEvictFor(std::size_t bytes, std::size_t method, const Lane& lane,
                   bool lane_known) const;
  // Evicts until there is room. CanEvictFor must have returned true.
  void EvictFor(const Task& arrival, const LaneKey& lane, GateEvents* events);

  // --- Predictions ---

  // True if `predicted`, from now on, takes too much of the time until `until`.
  static bool TooLate(Duration predicted, TimePoint until, TimePoint now);
  // How long `count` tasks take with all workers busy; 0 if the rate is not
  // known.
  Duration TimeToWork(std::size_t count) const;
  Duration target_wait() const;
  // Queued tasks that can be taken or are deferred.
  std::size_t backlog() const { return queued_ - committing_.size(); }

  // --- From place to place ---

  void Admit(Task* task, TimePoint now);
  // Admits a task that has a place in its lane already.
  void Enqueue(Task* task, TimePoint now);
  void CountAdmitted(Task* task, TimePoint now);
  // The task, which is in no list, can be taken from now on.
  void MakeTakeable(Task* task);
  // Puts tasks that were in work or deferred back at the front of their lanes.
  void Return(TaskList* tasks);
  // Removes a queued task from the list that it is in.
  void Unlink(Task* task);
  // Counts a queued task, which is in no list, as ended.
  void LeaveQueue(Task* task, TaskResult result);
  void ReleaseBytes(const Task& task);
  void Park(Task* task, TimePoint until);
  void Unpark(Task* task);
  void CountUnparked(Task* task);
  void EndParked(Task* task, TaskResult result, GateEvents* events);
  void EndQueued(Task* task, TaskResult result, GateEvents* events);
  // Ends all that can be taken or is deferred: the drain is over.
  void EndQueue(GateEvents* events);
  // The circuit has opened: ends all tasks whose callers wait for a result.
  void EndUnpromised(GateEvents* events);

  // --- Work ---

  // Takes tasks until the batch has `size_max`.
  void TakeBatch(std::size_t size_max, TimePoint now, std::vector<Task*>* batch,
                 GateEvents* events);
  // Counts the results of a batch. Tasks that are to be worked again go to
  // `again`.
  void Complete(std::span<Task* const> batch, TimePoint now, TaskList* again);
  // Moves the circuit by what the batch has seen of the store.
  void Learn(std::span<Task* const> batch, StoreState store, TimePoint now,
             GateEvents* events);

  // --- Invariants ---

  // At the end of each event, in builds with assertions.
  void CheckAfterEvent();
  std::string CheckBounds();
  std::string CheckTasks() const;
  std::string CheckCounters() const;

  std::atomic<std::int64_t>* const sequence_;
  GateLimits limits_;
  // Parked tasks, and tasks that can be taken.
  FairQueue queue_;
  // Deferred tasks.
  KeyOrder order_;
  TaskList committing_;
  Eviction eviction_;
  // Tasks that can be taken, are deferred, or are committing.
  std::size_t queued_ = 0;
  // Ends of the parked tasks' waits; of waits without an end none.
  std::set<Expiry> expiries_;
  std::uint64_t parked_ = 0;  // ever
  std::size_t held_bytes_ = 0;
  std::size_t in_work_ = 0;
  std::uint64_t retries_ = 0;
  bool closed_ = false;
  TimePoint closed_until_ = kForever;
  DrainRate drain_rate_{std::chrono::seconds(2)};
  ServiceRate service_rate_;
  StandingQueue standing_;
  ReturningCallers refused_;

  Circuit circuit_;
  std::minstd_rand random_;
  // Nothing is taken until the circuit's retry is due.
  bool paused_ = false;
  // The first task of the batch that is the circuit's probe; null if there is
  // none. While it is set nothing else is taken.
  const Task* probe_ = nullptr;
  std::vector<MethodCounters> counters_;

  // For CheckInvariants: sums at the last check. A limit that was exceeded then
  // need not hold, but the sum must not grow.
  struct Inside {
    std::size_t queued = 0;
    std::size_t held_bytes = 0;
    std::size_t waiting = 0;
    std::size_t waiting_bytes = 0;
  };
  Inside allowed_;
  // An event since the last check may have exceeded the limits.
  bool limits_waived_ = false;
  std::uint64_t events_ = 0;
};

}  // namespace sluice

#endif  // SLUICE_POOL_GATE_H_
