// What is queued and what waits in a pool, by lanes: whose turn it is to be
// taken, and whose to be let in.
//
// A lane is a sender (a site, a study) in one class of priority. Its tasks are
// first come first served; among lanes it is fair:
//  - taken is one of each lane in turn, since tasks cost alike: what a store
//    does goes with their number. Turns go by the virtual time of WF2Q+
//    (J. Bennett, H. Zhang, 1997), but that a round is a turn of each lane that
//    has had one lately, and not only of those that have something queued at
//    the moment. In a round robin, a storm takes every second turn whenever one
//    other lane has something queued, which doubles what those wait who ask for
//    less than their share; so it takes one of a round, and what nobody wants.
//    Between the classes it goes by weights (kPriorityWeights), by stride
//    scheduling (C. Waldspurger, W. Weihl, 1995): none starves;
//  - let in first is who waits in the lane with the fewest queued, and there
//    the first to come. Lanes that stand (standing_queue.h) come behind those
//    that do not. Classes go by what they have queued, by weight.
//
// A lane exists while something of it is queued or waits, so that memory
// follows the tasks, however many senders there are; and so many as
// kRememberedMax are remembered for some rounds more, while their class has
// something queued. Where `by_lane` is not set, all share one lane, and nothing
// is looked up.
//
// Owns no task. Deterministic, not thread-safe: it belongs to a Gate.

#ifndef SLUICE_POOL_FAIR_QUEUE_H_
#define SLUICE_POOL_FAIR_QUEUE_H_

#include <array>
#include <cstddef>
#include <cstdint>
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

  // So many turns that it has not used a lane may make up for, and for so many
  // rounds it is remembered.
  static constexpr std::uint64_t kBurst = 4;
  // Of each class, beside those in which something is queued or waits.
  static constexpr std::size_t kRememberedMax = 4096;

  FairQueue();
  FairQueue(const FairQueue&) = delete;
  FairQueue& operator=(const FairQueue&) = delete;

  // Whether tasks that come from now on have lanes of their own; those inside
  // stay where they are. `order` knows the keys in work, `committing` the tasks
  // that are in no list of this queue.
  void SetByLane(bool by_lane, const KeyOrder& order,
                 const TaskList& committing);
  bool by_lane() const { return by_lane_; }

  // --- Lanes ---

  // The lane that the task would join or is in. Of one that does not exist, an
  // empty one of its class, which nothing joins.
  Lane* LaneOf(const Task& task);
  Lane* LaneOf(const LaneKey& key);
  // A lane that has nothing inside.
  Lane* EmptyLane(Priority priority);

  // How many are worked before the one that comes behind `count` others of the
  // lane, where `all` are inside: by the turns that it has had lately, or else
  // by its turns among the lanes that there are.
  std::size_t Ahead(const Lane& lane, std::size_t count, std::size_t all) const;
  // What is queued of the lane's class.
  std::size_t ClassDepth(const Lane& lane) const {
    return ClassOf(lane.key.priority).depth;
  }
  // Lanes in which something is queued or waits, and of these those that stand.
  std::size_t lanes() const;
  std::size_t lanes_standing() const { return lanes_standing_; }
  // With those that are only remembered.
  std::size_t lanes_kept() const { return lanes_.size(); }

  // --- Who comes and goes ---

  // The task comes inside, to wait or to be queued, or has gone for good: for
  // the order of its key.
  void Enter(const Task& task);
  void Exit(const Task& task) { keys_.Remove(task.order_key); }

  // --- The queue ---

  // A task takes a place in its lane, in no list yet.
  void Reserve(Task* task);
  // One that has a place can be taken from now on, as the last of its lane; or
  // as the first, of several in the order of the list, which is then empty.
  void Push(Task* task);
  void PushFront(TaskList* tasks);
  // Whether there is none to be taken; the one whose turn it is; it had waited
  // so long; and, once it is removed, it has used the turn.
  bool empty() const { return takeable_ == 0; }
  Task* Next() const;
  void Waited(const Task& task, Duration waited, Duration target,
              TimePoint now);
  void UseTurn(const Task& task);
  // One that could be taken cannot any more, and keeps its place.
  void Remove(Task* task);
  // One in no list gives its place back.
  void Release(Task* task);

  // --- The waiting room ---

  void Park(Task* task);
  void Unpark(Task* task);
  // From the waiting room to a place, in no list yet.
  void LetIn(Task* task);
  // The lane of each class from which somebody is let in next, in the order in
  // which it is their turn.
  Lanes NextToLetIn() const;
  // Whether somebody waits who is let in before a newcomer of the lane.
  bool AnyBefore(const Lane& lane) const;
  std::size_t waiting() const { return waiting_; }
  std::size_t waiting_bytes() const { return waiting_bytes_; }
  static std::size_t WaitingBytes(const Task& task) {
    return task.bytes + task.bytes_behind;
  }

  // --- For reports, and to end them ---

  // Those that can be taken, lane by lane, each in its order.
  std::vector<Task*> Queued() const;
  // First come first.
  std::vector<Task*> Waiting() const;

 private:
  struct LetInBefore {
    bool operator()(const Lane* a, const Lane* b) const;
  };
  struct TakenBefore {
    bool operator()(const Lane* a, const Lane* b) const {
      return a->tag != b->tag ? a->tag < b->tag : a->turn < b->turn;
    }
  };

  struct Class {
    // From which can be taken.
    LaneOrder<TakenBefore> turns;
    std::size_t takeable_lanes = 0;
    // Those that have had turns lately, and from which nothing can be taken.
    LaneOrder<TakenBefore> away;
    // The virtual time: it goes on by a turn when as many were had as there are
    // lanes in both, but is never behind the first of `turns`. The next turn of
    // a lane is one after its last, but not longer ago than kBurst.
    std::uint64_t now;
    LaneOrder<LetInBefore> waiting;
    std::size_t lanes = 0;  // with something inside
    std::size_t depth = 0;
    // In units of work by weight: the class with the least has its turn.
    std::uint64_t pass = 0;
    Lane empty;
  };

  Class& ClassOf(Priority priority) { return classes_[Index(priority)]; }
  const Class& ClassOf(Priority priority) const {
    return classes_[Index(priority)];
  }
  Class& ClassOf(const Lane& lane) { return ClassOf(lane.key.priority); }

  LaneKey KeyOf(const Task& task) const;
  // As LaneOf.
  Lane* Find(const LaneKey& key);
  // Makes it, where it does not exist.
  Lane* Join(const Task& task);
  // One that was inside is so no more.
  void LeftBy(Lane* lane);
  // If nothing keeps it.
  void Forget(Lane* lane);
  // Changes what the order of those who wait depends on.
  template <typename Change>
  void Update(Lane* lane, Change change);
  void AddPlace(Lane* lane, Task* task);
  void RemoveWaiting(Lane* lane, Task* task);
  void MeasureTurns(Lane* lane);
  // The lane has something to be taken, or has nothing any more.
  void Begin(Lane* lane);
  void End(Lane* lane);
  void AddToTurns(Lane* lane);
  // Those of the class that are away, and whose tags say nothing any more.
  void ForgetOld(Class* in);

  bool by_lane_ = false;
  // That of all where `by_lane_` is not set, and of those who say nothing.
  Lane common_;
  absl::node_hash_map<LaneKey, Lane> lanes_;
  std::array<Class, kPriorities> classes_;
  KeyLanes keys_;
  // The pass of the last turn: a class that has had nothing to do begins there.
  std::uint64_t pass_ = 0;
  std::uint64_t turns_ = 0;
  std::uint64_t taken_ = 0;
  std::size_t takeable_ = 0;
  std::size_t waiting_ = 0;
  std::size_t waiting_bytes_ = 0;
  std::size_t lanes_standing_ = 0;
};

}  // namespace sluice

#endif  // SLUICE_POOL_FAIR_QUEUE_H_
