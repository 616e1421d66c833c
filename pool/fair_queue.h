// The queued and parked tasks of a pool by lanes: which task is taken next, and
// which is admitted next.
//
// A lane is one sender (a site, a study) in one class of priority. Its tasks
// are first come first served. Among lanes the queue is fair:
//  - Lanes are taken from in turn, one task each, since tasks cost alike: a
//    store's work depends on how many they are. Turns follow the virtual time
//    of WF2Q+ (J. Bennett, H. Zhang, 1997), with one change: a round is one
//    turn of each lane that has had a turn lately, not only of the lanes that
//    have something queued at this moment. In a plain round robin, a lane under
//    a storm takes every second turn whenever one other lane has something
//    queued. That doubles the wait of lanes that use less than their share.
//    Here such a lane gets one turn a round, and the turns that nobody wants.
//  - Classes get turns by weight (kPriorityWeights), by stride scheduling
//    (C. Waldspurger, W. Weihl, 1995). No class starves.
//  - The lane with the fewest queued tasks is admitted from first, and from it
//    the task that came first. Lanes with a standing queue (standing_queue.h)
//    come behind all others. Classes are compared by queued tasks and weight.
//
// A lane exists while it has queued or parked tasks, so that memory follows the
// tasks, however many senders there are. Up to kRememberedMax more lanes are
// remembered for a few rounds while their class has something queued. Unless
// `by_lane` is set, all tasks share one lane, and nothing is looked up.
//
// Owns no task. Deterministic. Not thread-safe: belongs to a Gate.

#ifndef SLUICE_POOL_FAIR_QUEUE_H_
#define SLUICE_POOL_FAIR_QUEUE_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

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

  // Unused turns that a lane may make up for, and rounds for which an empty
  // lane is remembered.
  static constexpr std::uint64_t kBurst = 4;
  // Remembered lanes of each class.
  static constexpr std::size_t kRememberedMax = 4096;

  FairQueue();
  FairQueue(const FairQueue&) = delete;
  FairQueue& operator=(const FairQueue&) = delete;

  // Sets whether tasks that come from now on have lanes of their own. Tasks
  // that are inside stay where they are. `order` knows the keys in work,
  // `committing` the tasks that are in no list of this queue.
  void SetByLane(bool by_lane, const KeyOrder& order,
                 const TaskList& committing);
  bool by_lane() const { return by_lane_; }

  // --- Lanes ---

  // Returns the lane that the task would join. If it does not exist, returns an
  // empty lane of its class, which no task joins.
  Lane* LaneOf(const Task& task);
  Lane* LaneOf(const LaneKey& key);
  // Returns a lane that has nothing inside; the common lane unless `by_lane`.
  Lane* EmptyLane(Priority priority);

  // Predicts how many tasks are worked before a task that comes behind `count`
  // others of the lane, if `all` are inside: by the turns that the lane has had
  // lately, or else by its share among the lanes that exist.
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

  // The task comes into the pool, to be parked or queued. Until its Exit, tasks
  // of the same key join its lane.
  void Enter(const Task& task);
  // The task has left the pool for good.
  void Exit(const Task& task) { keys_.Remove(task.order_key); }

  // --- The queue ---

  // The task takes a place in its lane. It is in no list yet.
  void Reserve(Task* task);
  // The task, which has a place and is in no list, can be taken from now on, as
  // the last of its lane.
  void Push(Task* task);
  // The tasks, which have places and are in no other list, can be taken from
  // now on, as the first of their lanes, in their order. `tasks` is empty
  // afterwards.
  void PushFront(TaskList* tasks);
  // True if no task can be taken.
  bool empty() const { return takeable_ == 0; }
  // Returns the task whose turn it is; null if the queue is empty.
  Task* Next() const;
  // Tells that the task, which can be taken, had waited for `waited`.
  void Waited(const Task& task, Duration waited, Duration target,
              TimePoint now);
  // The task, which has just been removed but has its place still, is taken:
  // its lane and its class have used a turn.
  void UseTurn(const Task& task);
  // The task, which could be taken, cannot be taken any more. It keeps its
  // place and is in no list.
  void Remove(Task* task);
  // The task, which is in no list, gives its place back.
  void Release(Task* task);

  // --- The waiting room ---

  void Park(Task* task);
  // The parked task leaves the waiting room.
  void Unpark(Task* task);
  // The parked task gets a place in the queue. It is in no list yet.
  void Admit(Task* task);
  // Returns the lane of each class from which a task is admitted next, in the
  // order in which it is their turn.
  Lanes NextToAdmit() const;
  // True if a parked task comes before an arrival of the lane.
  bool AnyBefore(const Lane& lane) const;
  std::size_t waiting() const { return waiting_; }
  std::size_t waiting_bytes() const { return waiting_bytes_; }
  static std::size_t WaitingBytes(const Task& task) {
    return task.bytes + task.bytes_behind;
  }

  // --- For reports, and to end tasks ---

  // Tasks that can be taken, lane by lane, each lane in its order.
  std::vector<Task*> Queued() const;
  // Parked tasks, first come first.
  std::vector<Task*> Waiting() const;
  // Calls `visit` with each lane that has queued or parked tasks, or is
  // remembered, and with the common lane.
  template <typename Visit>
  void ForEachLane(Visit visit) const {
    visit(common_);
    for (const auto& [key, lane] : lanes_) visit(lane);
  }

  // Returns the first broken invariant; empty if all hold. O(tasks + lanes).
  std::string CheckInvariants() const;

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
    // Lanes that have had turns lately and have no task that can be taken.
    LaneOrder<TakenBefore> remembered;
    // The virtual time. It advances by one turn when as many turns were used as
    // there are lanes in `turns` and `remembered`, and is never behind the
    // first of `turns`. A lane's next turn is one after its last, but at most
    // kBurst in the past.
    std::uint64_t now;
    // Lanes with parked tasks.
    LaneOrder<AdmittedBefore> waiting;
    // Lanes with queued or parked tasks.
    std::size_t lanes = 0;
    std::size_t depth = 0;
    // Work that the class has had, divided by its weight. The class with the
    // least has the next turn.
    std::uint64_t pass = 0;
    // LaneOf returns this lane if the lane asked for does not exist.
    Lane empty;
  };

  Class& ClassOf(Priority priority) { return classes_[Index(priority)]; }
  const Class& ClassOf(Priority priority) const {
    return classes_[Index(priority)];
  }
  Class& ClassOf(const Lane& lane) { return ClassOf(lane.key.priority); }

  LaneKey KeyOf(const Task& task) const;
  // Returns the lane with this key. If it does not exist, returns the empty
  // lane of its class.
  Lane* Find(const LaneKey& key);
  // Returns the task's lane, and makes it if it does not exist.
  Lane* Join(const Task& task);
  // A task of the lane has left.
  void LeftBy(Lane* lane);
  // Erases the lane if it is idle.
  void Forget(Lane* lane);
  // Calls `change`, which changes fields that AdmittedBefore depends on.
  template <typename Change>
  void Update(Lane* lane, Change change);
  void AddPlace(Lane* lane, Task* task);
  void RemoveWaiting(Lane* lane, Task* task);
  void MeasureTurns(Lane* lane);
  // The lane is about to have a task that can be taken.
  void Begin(Lane* lane);
  // The lane has no task that can be taken any more.
  void End(Lane* lane);
  void AddToTurns(Lane* lane);
  // Forgets remembered lanes of the class whose tags say nothing any more.
  void ForgetOld(Class* in);
  std::string CheckLane(const Lane& lane) const;

  bool by_lane_ = false;
  // The lane of all tasks unless `by_lane_`, and of tasks without a sender.
  Lane common_;
  absl::node_hash_map<LaneKey, Lane> lanes_;
  std::array<Class, kPriorities> classes_;
  KeyLanes keys_;
  // The pass of the last turn. A class that had nothing to do begins there.
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
