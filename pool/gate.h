// Queue, waiting room and work in progress of one pool, as one deterministic
// state machine.
//
// A Gate has no thread, clock, lock or I/O. Its inputs are events with their
// times; its outputs are the required actions (GateEvents). The shell,
// worker_pool.h, has the lock and the threads, and carries out the actions
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
// A task that needs a commit is `committing` before it can be taken. Committing
// tasks, deferred tasks (a batch has a task of the same key) and delayed tasks
// (until Task::again_at) count as queued.
//
// Promises, after every event (CheckInvariants):
//  - Bounds. Queued tasks are at most `capacity`. Tasks that are queued or in
//    work have at most `capacity_bytes`. Parked tasks are at most
//    `waiting_max`, and their bytes at most `waiting_max_bytes`. A task larger
//    than a limit of bytes enters alone. Resize, Restore and tasks that are
//    processed again may exceed a limit; nothing enters until the limit holds
//    again.
//  - Unread entries. While the journal of the pool has entries that are not
//    restored yet (SetUnread), there is no room for an arrival. Otherwise an
//    arrival could overtake an earlier submission of its key, and the journal
//    could grow beyond the limits.
//  - Order of admission. No task is parked while there is room for the first
//    parked task. Tasks are admitted in order of arrival, whatever the policies
//    of their methods.
//  - Eviction (Verdict::EvictOldest). An arrival evicts the oldest queued task
//    of its own method and its own lane that may be evicted (eviction.h), and
//    more such tasks only if it needs their bytes. It evicts nothing while a
//    task is parked, or while a limit is exceeded. If eviction would not make
//    room, the arrival is dropped and nothing is evicted.
//  - Lanes. In a pool that is shared by lanes (`by_lane`), the order of
//    admission holds within each lane. Among lanes the Gate is fair
//    (fair_queue.h): all lanes are served in turn, and no task enters a lane
//    that has more queued, or parked, than there is room left. In each class,
//    the next parked task to be admitted is the first of the lane with the
//    fewest queued tasks.
//  - Keys. Tasks of one key are processed in the order of their admission, and
//    never in two batches at once.
//  - Hopeless tasks. A caller who waits for a result is refused at once if the
//    result would come too late, judged by the backlog and the measured rate.
//    If this is noticed only later, the task is not begun. For callers who wait
//    for a result, a standing queue (standing_queue.h) counts as full. An
//    arrival that finds an idle worker and an empty queue is never refused as
//    hopeless. A worker begins the task unless its deadline has passed.
//    Otherwise a wrong prediction would never be corrected, because only
//    completed work corrects a prediction.
//  - Circuit. While the circuit is open and its retry is not due, no caller
//    waits for a result: only promised tasks are parked or queued. While the
//    circuit is failing, one batch at a time is in work as its probe. Only the
//    probe counts as a further failure. A batch that was begun before the first
//    failure and fails later has seen the same outage.
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
#include "pool/batch_share.h"
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
  std::int64_t sequence = 0;  // for kAdmitted
  TaskResult result{};        // for kEnded: a refusal or kDropped
  Duration retry_delay{};     // for a refusal: time until room is expected
};

// A parked task that has been admitted.
struct Unparked {
  AdmissionListener* listener;
  std::int64_t sequence;
};

// A task that the Gate has ended unprocessed and returned to its owner.
struct Ended {
  Task* task;
  TaskResult result;
  Duration retry_delay;  // time until room is expected
};

// Number of entries, and of their bytes, that may be restored from a journal
// within the limits.
struct RoomToRestore {
  std::size_t entries = 0;
  std::size_t bytes = 0;

  bool empty() const { return entries == 0 || bytes == 0; }
};

// Consequences of an event. The shell carries them out without the lock.
struct GateEvents {
  std::vector<Unparked> admitted;
  std::vector<Ended> ended;

  bool empty() const { return admitted.empty() && ended.empty(); }
  void clear() {
    admitted.clear();
    ended.clear();
  }
};

// Counters of a method: totals since the start, and tasks inside at the moment.
struct MethodCounters {
  std::uint64_t received = 0;
  std::uint64_t admitted = 0;
  // Results of arrivals that were not admitted, and results of admitted tasks.
  ResultCounts not_admitted;
  ResultCounts completed;
  // Arrivals for which a second policy was asked as well, by the decision of
  // that policy (Verdict::shadow).
  std::array<std::uint64_t, kVerdictKinds> shadow{};
  std::size_t waiting = 0;
  std::size_t queued = 0;
  std::size_t in_work = 0;

  // True if received = admitted + not admitted + waiting and admitted =
  // completed + queued + in work.
  bool Balanced() const;

  bool operator==(const MethodCounters&) const = default;
};

// Tells where promised tasks are while they wait for the store.
enum class Promises {
  kInMemory,  // the process must keep them as long as it can
  kDurable,   // the next start has them
};

// State of the store behind the pool, as observed by a batch.
enum class StoreState {
  kUntouched,
  kUp,
  kDown,
};

class Gate {
 public:
  // `methods` is the number of methods that are counted. Admissions take the
  // next value of `sequence`, which several Gates may share and which must
  // outlive them. `seed` is for the jitter of retries.
  Gate(const GateLimits& limits, std::size_t methods,
       std::atomic<std::int64_t>* sequence, std::uint32_t seed = 1);

  // Admits the task, or carries out the decision of the policy. If the result
  // is kEnded, the task returns to its owner. Tasks that the arrival evicts are
  // ended with kDropped.
  Admission Arrive(Task* task, const AdmissionPolicy& policy, TimePoint now,
                   GateEvents* events);

  // Answers an arrival before its request is read: if Arrive would end the
  // arrival, counts it and returns the answer; otherwise returns nothing. If
  // the lane of the arrival is not known, answers only if Arrive would end the
  // arrival in any lane.
  std::optional<Admission> TurnAway(const Arrival& arrival, std::size_t method,
                                    const AdmissionPolicy& policy);

  // Counts an arrival that ended outside the Gate: an invalid submission, or a
  // submission that shared the result of another. Counts it as admitted if
  // IsWorked(result).
  void CountArrival(std::size_t method, TaskResult result);

  // Queues a task from before a restart under its previous sequence number,
  // whatever the limits. The task must be promised. Returns false, and does
  // nothing, after Close.
  bool Restore(Task* task, TimePoint now, GateEvents* events);
  // Returns how much Restore may add within the limits.
  RoomToRestore room_to_restore() const;
  // Sets the number of entries in the pool's journal that Restore will add
  // later. Initially 0.
  void SetUnread(std::size_t entries, TimePoint now, GateEvents* events);

  // Returns how many tasks at the front of `tasks` are, in order, the first
  // committing tasks of the Gate. All of `tasks` must be committing and sorted
  // by sequence number. Only the tasks so counted may be passed to Committed.
  // Otherwise a worker could take a task before an earlier task of its key.
  // O(tasks).
  std::size_t FirstCommitting(std::span<Task* const> tasks) const;
  // Marks the tasks as durable, so that they can be taken. The tasks must be
  // committing, and in the order of their sequence numbers.
  void Committed(std::span<Task* const> tasks);
  // Ends tasks that could not be made durable: counts them as kStoreUnavailable
  // and returns them to their owners. The tasks must be committing.
  void CommitFailed(std::span<Task* const> tasks, TimePoint now,
                    GateEvents* events);

  // Moves tasks from the queue into work, up to the limits, and appends them to
  // `batch`. Each lane is served in order: a task that does not fit by bytes
  // ends the batch, so that no smaller task overtakes it. A lane that is the
  // only one with tasks left gets a bounded share of the batch (batch_share.h).
  // Tasks whose key is in another batch are deferred.
  void Take(const BatchLimits& limits, TimePoint now, std::vector<Task*>* batch,
            GateEvents* events);

  // Takes back a whole batch of Take. Each task returns to its owner with its
  // result. Exception: a promised task with Task::again set is queued again, at
  // the front of its lane, at once or at Task::again_at.
  void Done(std::span<Task* const> batch, StoreState store, TimePoint now,
            GateEvents* events);

  // To be called when the caller of `task` has cancelled or disconnected. If
  // the task was parked or queued, returns it to its owner and returns true.
  // Returns false if the task is in work, committing, queued and promised, or
  // outside.
  bool Leave(Task* task, TimePoint now, GateEvents* events);

  // Ends the waits and delays that are over by `now`, and the pause after a
  // store failure. Ends the queue if a drain is over (Close).
  void Expire(TimePoint now, GateEvents* events);
  // Time when Expire is due next, or kForever. A time in the past means that
  // Expire is due now.
  TimePoint next_expiry() const;

  // Sets the number of workers that take batches, at least 1. Initially 1. A
  // worker is idle if fewer batches than workers are in work.
  void SetWorkers(std::size_t workers) { workers_ = workers; }

  // Sets new limits. Lower limits remove nothing that is inside. Tasks stay in
  // their lanes.
  void Resize(const GateLimits& limits, TimePoint now, GateEvents* events);

  // Refuses every arrival from now on, and ends all parked tasks. Expire will
  // end the tasks that are still queued at `until`. It is due at once, and ends
  // the queued tasks, as soon as none of them can be begun before `until`, or
  // as soon as all of them may be left (Promises).
  void Close(TimePoint until, Promises promises, GateEvents* events);

  // Returns the first broken invariant; empty if all hold. Call it after an
  // event, and regularly from the first event on: the check of the bounds
  // compares with the previous call. Builds with assertions call it after every
  // event of a small pool at first, and after some events later and in large
  // pools. O(tasks + lanes).
  std::string CheckInvariants();

  // True if an arrival of one byte would be admitted at once. With lanes: true
  // only if this holds for an arrival of every lane.
  bool open() const;
  // True if Take may take tasks: the queue has tasks that can be taken, and no
  // pause or probe prevents it.
  bool ready() const;
  // True if no task is parked, queued or in work.
  bool idle() const;
  bool closed() const { return closed_; }
  std::size_t depth() const { return queued_; }
  std::size_t unread() const { return unread_; }
  std::size_t in_work() const { return in_work_; }
  // Lanes that have queued or parked tasks.
  std::size_t lanes() const { return queue_.lanes(); }
  const Circuit& circuit() const { return circuit_; }
  // Number of times that a task returned to the queue to be processed again.
  std::uint64_t retries() const { return retries_; }
  PoolView view() const;
  const MethodCounters& counters(std::size_t method) const {
    return counters_[method];
  }

  // Queued tasks, for reports: delayed tasks, deferred tasks, then tasks that
  // can be taken, lane by lane.
  std::vector<const Task*> queued() const;
  // Admitted tasks that are not committed yet.
  std::vector<const Task*> committing() const;
  // Parked tasks in order of arrival.
  std::vector<const Task*> waiting() const;

 private:
  // End of a task's wait or delay. Equal times are sorted by `order`.
  struct Expiry {
    TimePoint at;
    std::uint64_t order;
    Task* task;
    auto operator<=>(const Expiry&) const = default;
  };

  // --- Room ---

  // True if there is room for one more task of the lane.
  bool HasRoom(const Lane& lane, std::size_t bytes, bool promised) const;
  // True if the capacity allows one more task in a lane with `depth` queued
  // tasks.
  bool HasPlace(std::size_t depth) const;
  // True if `bytes` more fit in a lane that has `bytes_of_lane` queued.
  bool BytesFit(std::size_t bytes_of_lane, std::size_t bytes) const;
  // Room that is reserved for other lanes while a lane holds `taken`: as much
  // again. A lane therefore never takes more than it leaves free, so that
  // another lane always finds some room: a dynamic threshold (A. Choudhury, E.
  // Hahne, 1998).
  std::size_t Reserved(std::size_t taken) const {
    return queue_.by_lane() ? taken : 0;
  }
  // True if one more task that waits for a result would only lengthen a
  // standing queue, of the lane or of the pool.
  bool HasStandingQueue(const Lane& lane) const;
  bool HasWaitingRoom(const Lane& lane, std::size_t bytes) const;

  // --- Order of admission ---

  // True if an arrival of the lane must wait behind a parked task.
  bool ComesBehindParked(const Lane& lane) const;
  // True if the lane has nothing queued, but its first parked task does not fit
  // by bytes. While the next lane awaits bytes, nobody is admitted, so that
  // bytes become free for this lane.
  bool AwaitsBytes(const Lane& lane) const;
  // Returns the first parked task if there is room for it, or null.
  Task* NextToAdmit() const;
  // Admits parked tasks while there is room for the first of them.
  void AdmitParked(TimePoint now, GateEvents* events);

  // --- Arrivals ---

  // Decides about an arrival of the lane. If there is no room, asks the policy
  // and sets `asked` to its verdict. kParked: `asked->until` is the end of the
  // wait. kAdmitted with `asked` set: the caller must evict (EvictFor).
  Admission Decide(const Arrival& arrival, std::size_t method, Lane* lane,
                   const AdmissionPolicy& policy, TimePoint now,
                   std::optional<Verdict>* asked);
  // Records that an arrival of the lane found no room.
  void TurnedAway(Lane* lane, TimePoint now);
  // Returns a refusal for lack of room, with the delay after which the caller
  // should retry.
  Admission RefuseForNow(TaskResult reason, TimePoint now);
  Admission Refusal(TaskResult reason) const;
  // Time until room for one more task is expected, by the backlog and the
  // measured rate.
  Duration ExpectedRoom() const;
  // True while the open circuit prevents admission of tasks whose callers wait
  // for a result.
  bool ResultsUnavailable() const { return paused_ && circuit_.open(); }
  static void CountShadow(const std::optional<Verdict>& verdict,
                          MethodCounters* counters);

  // --- Eviction ---

  // True if eviction would make room for an arrival of `method` in a lane
  // without room. If `lane_known` is false: in any lane.
  bool CanEvictFor(std::size_t bytes, std::size_t method, const Lane& lane,
                   bool lane_known) const;
  // Evicts until there is room. CanEvictFor must have returned true.
  void EvictFor(const Task& arrival, const LaneKey& lane, GateEvents* events);

  // --- Predictions ---

  // True if a wait of `predicted` from now takes too much of the time until
  // `until`.
  static bool TooLate(Duration predicted, TimePoint until, TimePoint now);
  // Time to process `count` tasks at the rate `per_second`, with all workers
  // busy; 0 if the rate is not known.
  static Duration TimeToWork(std::size_t count, double per_second);
  // Predicted time until an arrival behind `ahead` tasks has its result; 0 if
  // the arrival finds an idle worker and an empty queue.
  Duration TimeToResult(std::size_t ahead, TimePoint now) const;
  bool HasIdleWorker() const { return batches_in_work_ < workers_; }
  // True if an arrival finds an idle worker and an empty queue.
  bool FindsIdlePool() const {
    return HasIdleWorker() && queued_ + queue_.waiting() == 0;
  }
  // True if a batch that takes `batch_takes` would end too late for the task.
  static bool HasNoTimeLeft(const Task& task, Duration batch_takes,
                            TimePoint now);
  Duration target_wait() const;
  // Queued tasks that can be taken or are deferred.
  std::size_t backlog() const {
    return queued_ - committing_.size() - delayed_.size();
  }

  // --- Moving tasks ---

  void Admit(Task* task, TimePoint now);
  // Admits a task that has a place in its lane already.
  void Enqueue(Task* task, TimePoint now);
  void CountAdmitted(Task* task, TimePoint now);
  // Lets a task that is in no list be taken from now on.
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
  // Returns the delayed tasks that are due by `now` to the queue.
  void ReturnDelayed(TimePoint now);
  // True if the Gate is closed and no queued task will be begun before
  // closed_until_, because all of them are delayed for longer, or are deferred
  // for such tasks, or because the pause after a store failure is longer.
  // Promises that are durable are left to the next start sooner: when the
  // circuit is open, or when only delayed tasks are left.
  bool OutlastsDrain() const;
  // Time when the drain is over: closed_until_, or the past if waiting until
  // then would be in vain.
  TimePoint drain_ends() const {
    return OutlastsDrain() ? TimePoint::min() : closed_until_;
  }
  // Ends all queued tasks except committing tasks, because the drain is over.
  void EndQueue(GateEvents* events);
  // Ends all tasks whose callers wait for a result, because the circuit has
  // opened.
  void EndUnpromised(GateEvents* events);

  // --- Work ---

  // Takes tasks until a limit is reached or no more can be taken.
  void TakeBatch(const BatchLimits& limits, TimePoint now,
                 std::vector<Task*>* batch, GateEvents* events);
  // Gives the tasks of a key that are processed again the latest Task::again_at
  // among them. Otherwise a task could become due while an earlier task of its
  // key is still delayed.
  static void AlignDelays(std::span<Task* const> batch);
  // Counts the results of a batch. Returns the number of tasks with a result. A
  // task with Task::again set becomes delayed, or is moved to `again` if its
  // Task::again_at has passed.
  std::size_t Complete(std::span<Task* const> batch, TimePoint now,
                       TaskList* again);
  // Updates the circuit with the state of the store that the batch observed.
  void Learn(std::span<Task* const> batch, StoreState store, TimePoint now,
             GateEvents* events);

  // --- Invariants ---

  // Checks the invariants at the end of an event, in builds with assertions.
  void CheckAfterEvent();
  std::string CheckBounds();
  std::string CheckTasks() const;
  std::string CheckCounters() const;
  // Returns the tasks that hold their key: delayed tasks, and tasks in work if
  // assertions are on.
  std::vector<const Task*> KeyHolders() const;

  std::atomic<std::int64_t>* const sequence_;
  GateLimits limits_;
  // Parked tasks, and tasks that can be taken.
  FairQueue queue_;
  // Deferred tasks.
  KeyOrder order_;
  BatchShare share_;
  TaskList committing_;
  Eviction eviction_;
  // Delayed tasks, by Task::again_at. A delayed task has a place in its lane
  // and holds its key, so that other tasks of the key are deferred.
  std::set<Expiry> delayed_;
  // Number of queued tasks: takeable, deferred, delayed and committing.
  std::size_t queued_ = 0;
  // Number of entries in the journal that are not restored yet.
  std::size_t unread_ = 0;
  // Ends of the parked tasks' waits, earliest first. Waits without an end are
  // left out.
  std::set<Expiry> expiries_;
  std::uint64_t parked_ = 0;  // number of tasks ever parked
  std::size_t held_bytes_ = 0;
  std::size_t in_work_ = 0;
  std::size_t batches_in_work_ = 0;
  std::size_t workers_ = 1;
  std::uint64_t retries_ = 0;
  bool closed_ = false;
  TimePoint closed_until_ = kForever;
  Promises promises_ = Promises::kInMemory;
  DrainRate drain_rate_{std::chrono::seconds(2)};
  ServiceRate service_rate_;
  StandingQueue standing_;
  ReturningCallers refused_;

  Circuit circuit_;
  std::minstd_rand random_;
  // True while no task may be taken because the circuit's retry is not due.
  bool paused_ = false;
  // The first task of the batch that probes the store; null if there is no
  // probe. While a probe is in work, nothing else is taken.
  const Task* probe_ = nullptr;
  std::vector<MethodCounters> counters_;

  // Tasks in work, for CheckInvariants. Empty unless assertions are on.
  TaskList working_;
  // Sums at the last check, for CheckInvariants. A limit that was exceeded then
  // may stay exceeded, but the sum must not grow.
  struct Inside {
    std::size_t queued = 0;
    std::size_t held_bytes = 0;
    std::size_t waiting = 0;
    std::size_t waiting_bytes = 0;
  };
  Inside allowed_;
  // True if an event since the last check may have exceeded the limits.
  bool limits_waived_ = false;
  std::uint64_t events_ = 0;
};

}  // namespace sluice

#endif  // SLUICE_POOL_GATE_H_
