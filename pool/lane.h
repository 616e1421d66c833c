// The queued and parked tasks of one sender, in a pool that is shared fairly.

#ifndef SLUICE_POOL_LANE_H_
#define SLUICE_POOL_LANE_H_

#include <cstddef>
#include <cstdint>
#include <utility>

#include "absl/container/btree_set.h"
#include "base/check.h"
#include "policies/priority.h"
#include "pool/standing_queue.h"
#include "pool/task_list.h"

namespace sluice {

struct LaneKey {
  Priority priority = Priority::kNormal;
  std::uint64_t id = 0;

  friend bool operator==(const LaneKey&, const LaneKey&) = default;
  template <typename Hash>
  friend Hash AbslHashValue(Hash hash, const LaneKey& key) {
    return Hash::combine(std::move(hash), key.priority, key.id);
  }
};

// Owned by a FairQueue. Only the FairQueue changes it.
struct Lane {
  LaneKey key;
  // Tasks that can be taken.
  TaskList queued;
  // Parked tasks.
  TaskList waiting;
  // Number of admitted tasks that are not in work: tasks in `queued`, deferred
  // tasks and committing tasks.
  std::size_t depth = 0;
  std::size_t bytes = 0;
  // Bytes of the parked tasks.
  std::size_t waiting_bytes = 0;
  StandingQueue standing;
  // Number of tasks taken from all lanes for each task taken from this lane: a
  // moving average since the lane last became empty; 0 if not known.
  double taken_for_one = 0;
  // Number of tasks taken from all lanes when the last task was taken from this
  // lane, including that task; 0 if no task was taken.
  std::uint64_t last_taken = 0;

  bool idle() const { return depth == 0 && waiting.empty(); }

  // Virtual time of the lane's next turn, on the clock of its class. `turn`
  // decides between equal tags.
  std::uint64_t tag = 0;
  std::uint64_t turn = 0;
  // True if no task of the lane can be taken, but its tag is still remembered.
  bool remembered = false;
};

// Lanes in an order that depends on fields of the lanes. While such a field
// changes, the lane must not be in the order. The first lane is a separate
// member, so that an order with one lane allocates nothing. Owns no lane.
template <typename Before>
class LaneOrder {
 public:
  bool empty() const { return first_ == nullptr; }
  Lane* first() const { return first_; }
  std::size_t size() const {
    return rest_.size() + (first_ != nullptr ? 1 : 0);
  }

  // Adds `lane`, which must not be in the order.
  void Add(Lane* lane) {
    SLUICE_DCHECK(lane != nullptr && lane != first_);
    if (first_ == nullptr) {
      first_ = lane;
      return;
    }
    bool added = true;
    if (Before()(lane, first_)) {
      added = rest_.insert(first_).second;
      first_ = lane;
    } else {
      added = rest_.insert(lane).second;
    }
    SLUICE_DCHECK(added);
  }

  // Removes `lane`, which must be in the order.
  void Remove(Lane* lane) {
    SLUICE_DCHECK(first_ != nullptr);
    if (lane != first_) {
      const std::size_t erased = rest_.erase(lane);
      SLUICE_DCHECK(erased == 1);
    } else if (rest_.empty()) {
      first_ = nullptr;
    } else {
      first_ = *rest_.begin();
      rest_.erase(rest_.begin());
    }
  }

  // Calls `visit` with each lane, in their order.
  template <typename Visit>
  void ForEach(Visit visit) const {
    if (first_ == nullptr) return;
    visit(first_);
    for (Lane* lane : rest_) visit(lane);
  }

  // True if the lanes are in order. O(lanes).
  bool CheckInvariants() const {
    bool sorted = true;
    const Lane* before = nullptr;
    ForEach([&](const Lane* lane) {
      if (before != nullptr && !Before()(before, lane)) sorted = false;
      before = lane;
    });
    return sorted;
  }

 private:
  Lane* first_ = nullptr;
  absl::btree_set<Lane*, Before> rest_;
};

}  // namespace sluice

#endif  // SLUICE_POOL_LANE_H_
