// The heart: queue, waiting room and work in progress of one pool as one
// deterministic state machine.
//
// It has no thread, clock, lock or I/O. Events go in with the time; what must
// now happen comes out. The shell around it (worker_pool.h) brings the lock and
// the threads, and carries out what comes out once it has let go of the lock.
//
//              Arrive                Take             Done
//   outside ───────────► queued ───────────► in work ──────► outside
//      │                 ▲ ▲  │ ◄─────────────── again
//      │       Committed │ │  │ Leave, Close, circuit
//      │       committing  │  └──────────────────────────────► outside
//      │ no room: policy   │
//      ▼                   │ room
//   waiting ───────────────┘
//      │ Leave, Expire, Close, circuit
//      └─────────────────────────────────────────────────────► outside
//
// A task that needs a commit goes through `committing` on its way into the
// queue, and counts as queued from its admission on.
//
// Promises, after every event:
//  - what is queued is at most `capacity`, what is held (queued or in work) at
//    most `capacity_bytes`, what waits at most `waiting_max` and
//    `waiting_max_bytes`. A task larger than such a number of bytes enters
//    alone, and after a Resize to less nothing enters until it holds again;
//  - nobody waits while there is room for the first who does, and the first to
//    come is the first to enter, whatever its method's policy;
//  - an arrival takes the place of others (Verdict::EvictOldest) only where
//    nobody waits, and only of those of its own method that are queued, not
//    promised and droppable, the oldest first: of one, and of more only for its
//    bytes. Where that does not make room, or where more is inside than the
//    limits say, it is dropped itself and everybody stays;
//  - where it is shared by lanes (`by_lane`), the last holds for each lane, and
//    among lanes it is fair (fair_queue.h): all are served in turn, and none
//    has more queued, or waiting, than there is room left. The first who waits
//    is then the first of the lane with the fewest queued, in each class;
//  - tasks of one key are worked in the order of their admission, and never in
//    two batches at once;
//  - whoever waits for a result and could not have it in time, by what is ahead
//    and the rate at which it is worked, is refused at once, and is not begun
//    where that shows later. Where the queue stands (standing_queue.h), it
//    counts as full for those who wait for a result;
//  - while the circuit is open, nobody waits for a result: only promised tasks
//    stay, and of these one at a time is tried;
//  - the counters balance, per method (MethodCounters::Balanced).

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
#include <vector>

#include "policies/admission_policy.h"
#include "pool/circuit.h"
#include "pool/drain_rate.h"
#include "pool/droppable_tasks.h"
#include "pool/fair_queue.h"
#include "pool/key_order.h"
#include "pool/returning_callers.h"
#include "pool/service_rate.h"
#include "pool/standing_queue.h"
#include "pool/task.h"
#include "pool/task_list.h"

namespace sluice {

struct GateLimits {
  std::size_t capacity = 4096;
  std::size_t capacity_bytes = std::size_t{256} << 20;
  std::size_t waiting_max = 10000;
  std::size_t waiting_max_bytes = std::size_t{256} << 20;
  // Each lane gets its share of these and of the work; otherwise all share one,
  // whatever Task::lane and Task::priority say.
  bool by_lane = false;
};

// What Gate::Arrive did with an arrival.
struct Admission {
  enum class Kind { kAdmitted, kParked, kEnded };

  Kind kind = Kind::kAdmitted;
  std::int64_t sequence = 0;  // of kAdmitted
  TaskResult result{};        // of kEnded: a refusal or kDropped
  Duration retry_delay{};     // of a refusal: when room is expected
};

// A parked task that is now queued.
struct LetIn {
  AdmissionListener* listener;
  std::int64_t sequence;
};

// A task that the Gate has let go of unworked.
struct Ended {
  Task* task;
  TaskResult result;
  Duration retry_delay;  // when room is expected
};

// What an event has made happen, to be carried out without the lock.
struct GateEvents {
  std::vector<LetIn> admitted;
  std::vector<Ended> ended;

  bool empty() const { return admitted.empty() && ended.empty(); }
  void clear() {
    admitted.clear();
    ended.clear();
  }
};

// Totals since the start, and where the rest is now.
struct MethodCounters {
  std::uint64_t received = 0;
  std::uint64_t admitted = 0;
  // By result: those that ended before they were admitted, and the admitted.
  ResultCounts not_admitted;
  ResultCounts completed;
  // Of the received, those of which another policy was asked as well, by what
  // it would have done (Verdict::shadow).
  std::array<std::uint64_t, kVerdictKinds> shadow{};
  std::size_t waiting = 0;
  std::size_t queued = 0;
  std::size_t in_work = 0;

  // received = admitted + not admitted + waiting
  // and admitted = completed + queued + in work.
  bool Balanced() const;

  bool operator==(const MethodCounters&) const = default;
};

// What a batch has shown of the store behind the pool.
enum class StoreState {
  kUntouched,
  kUp,
  kDown,
};

class Gate {
 public:
  // `methods` is how many counters there are. `sequence` numbers admissions,
  // from its value + 1; it may be shared by several Gates and must outlive
  // them. `seed` is for the jitter of retries.
  Gate(const GateLimits& limits, std::size_t methods,
       std::atomic<std::int64_t>* sequence, std::uint32_t seed = 1);

  // Lets the task in, or does with it what the policy says. After kEnded the
  // task is its owner's again. Those whose places it takes are ended
  // (TaskResult::kDropped).
  Admission Arrive(Task* task, const AdmissionPolicy& policy, TimePoint now,
                   GateEvents* events);

  // What Arrive would answer, and counted as its answer, if that is kEnded;
  // nothing otherwise. With it a full pool is answered before the
  // request is looked into. Where the arrival's lane is not known: if that
  // would be the answer whatever its lane.
  std::optional<Admission> TurnAway(const Arrival& arrival, std::size_t method,
                                    const AdmissionPolicy& policy);

  // Counts an arrival that ended without coming through the Gate: an invalid
  // one, or one that shared the result of another. Counts it as admitted if the
  // result is one of work (IsWorked).
  void CountArrival(std::size_t method, TaskResult result);

  // A task from before a restart, with the sequence that it had: queued at
  // once, whatever the limits.
  void Restore(Task* task, TimePoint now);

  // Admitted tasks, in the order of their sequence, that are durable now.
  void Committed(std::span<Task* const> tasks);
  // Those that could not be made durable, which are their owner's again.
  void CommitFailed(std::span<Task* const> tasks, TimePoint now,
                    GateEvents* events);

  // Moves up to `max` tasks from the queue into work, first come first of each
  // lane, and appends them to `batch`. Tasks whose key another batch has stand
  // aside.
  void Take(std::size_t max, TimePoint now, std::vector<Task*>* batch,
            GateEvents* events);

  // Takes back a whole batch as Take gave it. Lets go of its tasks, each with
  // its outcome, but for those that are to be worked again: they are queued
  // before all others of their lanes.
  void Done(std::span<Task* const> batch, StoreState store, TimePoint now,
            GateEvents* events);

  // The caller of `task` has gone. True: it waited or was queued, and is its
  // owner's again. False: it is in work, or queued and promised, or the Gate
  // does not have it.
  bool Leave(Task* task, TimePoint now, GateEvents* events);

  // Ends the waits that are over by `now`, and the pause after a failure of the
  // store.
  void Expire(TimePoint now, GateEvents* events);
  // When Expire is due next; kForever where nothing is.
  TimePoint next_expiry() const;

  // New limits; smaller ones take nothing away that is inside. Tasks stay in
  // the lanes that they are in.
  void Resize(const GateLimits& limits, TimePoint now, GateEvents* events);

  // From now on refuses every arrival, and ends all that wait. What is still
  // queued at `until` is ended by Expire.
  void Close(TimePoint until, GateEvents* events);

  // Whether an arrival of one byte would enter the queue at once. By lanes:
  // false as soon as one of some lane might not.
  bool open() const;
  // Whether Take would look at the queue.
  bool ready() const;
  // Nothing waits, is queued, or is in work.
  bool idle() const;
  std::size_t depth() const { return queued_; }
  std::size_t in_work() const { return in_work_; }
  // In which something is queued or waits.
  std::size_t lanes() const { return queue_.lanes(); }
  const Circuit& circuit() const { return circuit_; }
  // How often a task was to be worked again.
  std::uint64_t retries() const { return retries_; }
  PoolView view() const;
  const MethodCounters& counters(std::size_t method) const {
    return counters_[method];
  }

  // For reports: the tasks in the queue, those that stand aside before those
  // that Take looks at, in the order in which it does in each lane.
  std::vector<const Task*> queued() const;
  // Admitted, and not committed yet.
  std::vector<const Task*> committing() const;
  // Those that wait, first come first.
  std::vector<const Task*> waiting() const;

 private:
  // The end of a wait; the earlier arrival goes first where they are equal.
  struct Expiry {
    TimePoint at;
    std::uint64_t arrival;
    Task* task;
    auto operator<=>(const Expiry&) const = default;
  };

  // Whether there is room for one more of the lane.
  bool HasRoom(const Lane& lane, std::size_t bytes, bool promised) const;
  // The same without those who wait, and of a lane that has so much queued.
  bool HasPlace(std::size_t depth) const;
  bool BytesFit(std::size_t bytes_of_lane, std::size_t bytes) const;
  // How much less is free for a lane that has `taken`. By lanes that is as much
  // again, so that a lane never has more than it leaves free, and another finds
  // some room: a dynamic threshold (A. Choudhury, E. Hahne, 1998).
  std::size_t Reserved(std::size_t taken) const {
    return queue_.by_lane() ? taken : 0;
  }
  // Whether one more that waits for a result would only wait longer.
  bool Stands(const Lane& lane) const;
  bool HasWaitingRoom(const Lane& lane, std::size_t bytes) const;
  // Whether a newcomer of the lane comes behind somebody who waits.
  bool SomebodyIsFirst(const Lane& lane) const;
  // Whether the lane is to be let in before all others, but for its bytes: so
  // that they become free, nobody is.
  bool AwaitsBytes(const Lane& lane) const;
  // The first who waits and has room; null where nobody has.
  Task* NextToLetIn() const;
  // What becomes of an arrival of the lane. `said` is what the policy says, if
  // it is asked, which it is where there is no room; of one that is kParked,
  // its `until` is the end of the wait.
  Admission Decide(const Arrival& arrival, std::size_t method, Lane* lane,
                   const AdmissionPolicy& policy, TimePoint now,
                   std::optional<Verdict>* said);
  // Whether an arrival, for which there is no room, has room once others of its
  // method are dropped; and dropping them.
  bool CanEvictFor(std::size_t bytes, std::size_t method) const;
  void EvictFor(const Task& arrival, GateEvents* events);
  static bool MayBeDropped(const Task& task) {
    return task.droppable && !task.promised && !task.needs_commit;
  }
  // Whether what takes so long, as predicted, would be over too late.
  static bool TooLate(Duration predicted, TimePoint until, TimePoint now);
  // How long `count` tasks take with the workers busy; 0 while nothing is
  // known.
  Duration TimeToWork(std::size_t count) const;
  Duration target_wait() const;
  // A refusal for want of room, after which the caller will come again.
  Admission RefuseForNow(TaskResult reason, TimePoint now);
  Admission Refusal(TaskResult reason) const;
  // When there is room for one more, by what is ahead and the measured rate.
  Duration ExpectedRoom() const;
  // Whether arrivals that wait for a result are of no use at this time.
  bool ResultsUnavailable() const { return paused_ && circuit_.open(); }
  // What is queued and could be taken, or stands aside.
  std::size_t backlog() const { return queued_ - committing_.size(); }
  void TurnedAway(Lane* lane, TimePoint now);
  // Until the batch has `size_max` tasks.
  void TakeBatch(std::size_t size_max, TimePoint now, std::vector<Task*>* batch,
                 GateEvents* events);
  static void CountShadow(const std::optional<Verdict>& said,
                          MethodCounters* counters);
  void Admit(Task* task, TimePoint now);
  // Puts one that has a place where it belongs: with those that can be taken,
  // or with those that are committing.
  void Enqueue(Task* task, TimePoint now);
  void CountAdmitted(Task* task, TimePoint now);
  void LeaveQueue(Task* task, TaskResult result);
  void Release(const Task& task);
  void Park(Task* task, TimePoint until);
  void Unpark(Task* task);
  void CountUnparked(Task* task);
  void LetWaitingIn(TimePoint now, GateEvents* events);
  void EndWait(Task* task, TaskResult result, GateEvents* events);
  void EndQueued(Task* task, TaskResult result, GateEvents* events);
  void EndQueue(GateEvents* events);
  // The results of a batch's tasks; those that are worked again go to `again`.
  void Complete(std::span<Task* const> batch, TimePoint now, TaskList* again);
  void Learn(StoreState store, TimePoint now, GateEvents* events);
  // The circuit has opened: ends all that wait for a result.
  void EndUnpromised(GateEvents* events);

  std::atomic<std::int64_t>* const sequence_;
  GateLimits limits_;
  // Those that Take looks at, and those that wait.
  FairQueue queue_;
  KeyOrder order_;
  TaskList committing_;
  // Of those in the queue.
  DroppableTasks droppable_;
  // Those in the queue, that stand aside, and that are committing.
  std::size_t queued_ = 0;
  // Of those of the waiting whose wait has an end.
  std::set<Expiry> expiries_;
  std::uint64_t arrivals_ = 0;
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
  // Nothing is taken until the circuit's next try is due.
  bool paused_ = false;
  // While the circuit fails, one batch at a time is tried.
  bool probing_ = false;
  std::vector<MethodCounters> counters_;
};

}  // namespace sluice

#endif  // SLUICE_POOL_GATE_H_
