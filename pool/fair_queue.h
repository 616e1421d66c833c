// The queued and parked tasks of a pool by lanes: which task is taken next, and
// which is admitted next.
//
// A lane is one sender (a site, a study) in one class of priority. Its tasks
// are served in order of arrival. Among lanes the queue is fair:
//  - Lanes take turns of one task each. Tasks count as equal in cost, since a
//    store's work depends mainly on their number. Turns follow the virtual time
//    of WF2Q+ (J. Bennett, H. Zhang, 1997), with one change: a round is one
//    turn of each lane that has had a turn lately, not only of the lanes that
//    have something queued at this moment. In a plain round robin, an
//    overloaded lane takes every second turn whenever only one other lane has
//    something queued. This doubles the wait of lanes that use less than their
//    share. Here the overloaded lane gets one turn a round, and the turns that
//    no other lane needs.
//  - Classes get turns by weight (kPriorityWeights), by stride scheduling
//    (C. Waldspurger, W. Weihl, 1995). No class starves.
//  - The next task to be admitted is the first parked task of the lane with the
//    fewest queued tasks. Lanes with a standing queue (standing_queue.h) come
//    last. Classes are compared by queued tasks and weight.
//
// A lane exists while it has queued or parked tasks, so that the memory used
// depends on the tasks, not on the number of senders. In each class, up to
// kRememberedMax more lanes are remembered for a few rounds while the class has
// something queued. Unless `by_lane` is set, all tasks share one lane, and
// nothing is looked up.
//
// Owns no task. Deterministic. Not thread-safe: belongs to a Gate.

#ifndef SLUICE_POOL_FAIR_QUEUE_H_
#define SLUICE_POOL_FAIR_QUEUE_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/inlined_vector.h"
#include "absl/container/node_hash_map.h"
#include "policies/admission_policy.h"
#include "policies/priority.h"
#include "pool/key_lanes.h"
#include "pool/key_order.h"
#include "pool/lane.h"
#include "pool/task.h"
#include "pool/task_list.h"

namespace sluice {

class FairQueue {
 public:
  using Lanes = absl::InlinedVector<Lane*, kPriorities>;

  // Number of unused turns that a lane may make up for, and of rounds for which
  // an empty lane is remembered.
  static constexpr std::uint64_t kBurst = 4;
  // Remembered lanes of each class.
  static constexpr std::size_t kRememberedMax = 4096;

  FairQueue();
  FairQueue(const FairQueue&) = delete;
  FairQueue& operator=(const FairQueue&) = delete;

  // Sets whether later tasks go to the lanes of their senders. Tasks that are
  // inside stay in their lanes. `order` has the keys in work; `committing` has
  // the tasks that are in no list of this queue.
  void SetByLane(bool by_lane, const KeyOrder& order,
                 const TaskList& committing);
  bool by_lane() const { return by_lane_; }

  // --- Lanes ---

  // Returns the lane that the task would join. If that lane does not exist,
  // returns an empty stand-in lane of the same class, which no task joins.
  Lane* LaneOf(const Task& task);
  Lane* LaneOf(const LaneKey& key);
  // Returns a lane without tasks; the common lane unless by_lane().
  Lane* EmptyLane(Priority priority);

  // Predicts how many tasks are processed before a new task of `lane`, if
  // `count` tasks of the lane are ahead of it and `all` tasks are inside. Uses
  // the turns that the lane has had lately, or else its share among the
  // existing lanes.
  std::size_t Ahead(const Lane& lane, std::size_t count, std::size_t all) const;
  // Queued tasks of the lane's class.
  std::size_t ClassDepth(const Lane& lane) const {
    return ClassOf(lane.key.priority).depth;
  }
  // Lanes that have queued or parked tasks.
  std::size_t lanes() const;
  // Lanes that have a standing queue.
  std::size_t lanes_standing() const { return lanes_standing_; }
  // Lanes that use memory, including the remembered ones.
  std::size_t lanes_kept() const { return lanes_.size(); }

  // --- Keys ---

  // Records that the task enters the pool, to be parked or queued. Until Exit,
  // tasks with the same key join its lane.
  void Enter(const Task& task);
  // Records that the task has left the pool for good.
  void Exit(const Task& task) { keys_.Remove(task.order_key); }

  // True if tasks of the same key as `task`, which is in `lane`, join `lane`.
  // For assertions.
  bool IsLaneOf(const Task& task, const Lane& lane) const {
    return task.order_key == 0 || KeyOf(task) == lane.key;
  }

  // --- The queue ---

  // Gives the task a place in its lane, but does not put it in a list yet.
  void Reserve(Task* task);
  // Appends a task that has a place and is in no list to its lane. From now on
  // the task can be taken.
  void Push(Task* task);
  // Puts tasks that have places and are in no other list at the front of their
  // lanes, in their order. From now on the tasks can be taken. Empties `tasks`.
  void PushFront(TaskList* tasks);
  // True if no task can be taken.
  bool empty() const { return takeable_ == 0; }
  // True if exactly one lane has tasks that can be taken.
  bool has_one_lane_left() const;
  // Returns the task whose turn it is; null if the queue is empty.
  Task* Next() const;
  // Records how long the task, which can be taken, had waited.
  void Waited(const Task& task, Duration waited, Duration target,
              TimePoint now);
  // Charges one turn to the lane and the class of a taken task. Call between
  // Remove and Release.
  void UseTurn(const Task& task);
  // Removes the task from the list of tasks that can be taken. The task keeps
  // its place.
  void Remove(Task* task);
  // Frees the place of a task that is in no list.
  void Release(Task* task);

  // --- The waiting room ---

  void Park(Task* task);
  // Removes the task from the waiting room.
  void Unpark(Task* task);
  // Moves the parked task out of the waiting room and gives it a place in the
  // queue, but does not put it in a list yet.
  void Admit(Task* task);
  // Returns, for each class with parked tasks, the lane whose task is admitted
  // next. The class whose turn is first comes first.
  Lanes NextToAdmit() const;
  // True if a parked task is admitted before any arrival of the lane.
  bool AnyBefore(const Lane& lane) const;
  std::size_t waiting() const { return waiting_; }
  std::size_t waiting_bytes() const { return waiting_bytes_; }
  static std::size_t WaitingBytes(const Task& task) {
    return task.bytes + task.bytes_behind;
  }

  // --- For reports, and to end tasks ---

  // Returns the tasks that can be taken, lane by lane, each lane in its order.
  std::vector<Task*> Queued() const;
  // Returns the parked tasks in order of arrival.
  std::vector<Task*> Waiting() const;
  // Calls `visit` with the common lane and with each lane that has queued or
  // parked tasks or is remembered.
  template <typename Visit>
  void ForEachLane(Visit visit) const {
    visit(common_);
    for (const auto& [key, lane] : lanes_) visit(lane);
  }

  // Returns the first broken invariant; empty if all hold. O(tasks + lanes).
  std::string CheckInvariants() const;
  // Returns the first broken invariant of the lanes of keys; empty if all hold.
  // `inside` has, for each key, the number of tasks that are parked, queued or
  // in work. O(keys).
  std::string CheckKeys(
      const absl::flat_hash_map<std::uint64_t, std::size_t>& inside) const {
    return keys_.CheckInvariants(inside, by_lane_);
  }

 private:
  struct AdmittedBefore {
    bool operator()(const Lane* a, const Lane* b) const;
  };
  struct TakenBefore {
    bool operator()(const Lane* a, const Lane* b) const {
      return a->tag != b->tag ? a->tag < b->tag : a->turn < b->turn;
    }
  };

  struct Class {
    // Lanes with tasks that can be taken, in the order of their turns.
    LaneOrder<TakenBefore> turns;
    std::size_t takeable_lanes = 0;
    // Remembered lanes: they have had turns lately, but no task can be taken.
    LaneOrder<TakenBefore> remembered;
    // The virtual time. It advances by one turn whenever the lanes in `turns`
    // and `remembered` have used one turn each on average, and is never behind
    // the first lane of `turns`. A lane's next turn is one after its last turn,
    // but at most kBurst turns in the past.
    std::uint64_t now;
    // Lanes with parked tasks.
    LaneOrder<AdmittedBefore> waiting;
    // Lanes with queued or parked tasks.
    std::size_t lanes = 0;
    std::size_t depth = 0;
    // Turns that the class has had, divided by its weight. The class with the
    // lowest pass has the next turn.
    std::uint64_t pass = 0;
    // Stand-in that LaneOf returns for a lane that does not exist.
    Lane empty;
  };

  Class& ClassOf(Priority priority) { return classes_[Index(priority)]; }
  const Class& ClassOf(Priority priority) const {
    return classes_[Index(priority)];
  }
  Class& ClassOf(const Lane& lane) { return ClassOf(lane.key.priority); }

  LaneKey KeyOf(const Task& task) const;
  // Returns the lane with this key, or the stand-in of its class if the lane
  // does not exist.
  Lane* Find(const LaneKey& key);
  // Returns the task's lane. Creates the lane if it does not exist.
  Lane* Join(const Task& task);
  // Records that a task has left the lane.
  void LeftBy(Lane* lane);
  // Erases the lane if it is idle.
  void Forget(Lane* lane);
  // Calls `change`, which may change fields of the lane that AdmittedBefore
  // reads.
  template <typename Change>
  void Update(Lane* lane, Change change);
  void AddPlace(Lane* lane, Task* task);
  void RemoveWaiting(Lane* lane, Task* task);
  void MeasureTurns(Lane* lane);
  // To be called before the first task of the lane can be taken.
  void Begin(Lane* lane);
  // To be called when no task of the lane can be taken any more.
  void End(Lane* lane);
  void AddToTurns(Lane* lane);
  // Forgets remembered lanes of the class whose tags have no effect any more.
  void ForgetOld(Class* in);
  std::string CheckLane(const Lane& lane) const;

  bool by_lane_ = false;
  // The lane of all tasks unless `by_lane_`, and of tasks without a sender.
  Lane common_;
  absl::node_hash_map<LaneKey, Lane> lanes_;
  std::array<Class, kPriorities> classes_;
  KeyLanes keys_;
  // Pass of the last turn. A class that had no task starts again at this pass.
  std::uint64_t pass_ = 0;
  std::uint64_t turns_ = 0;
  std::uint64_t taken_ = 0;
  std::uint64_t pushed_ = 0;
  std::size_t takeable_ = 0;
  std::size_t waiting_ = 0;
  std::size_t waiting_bytes_ = 0;
  std::size_t lanes_standing_ = 0;
};

}  // namespace sluice

#endif  // SLUICE_POOL_FAIR_QUEUE_H_
