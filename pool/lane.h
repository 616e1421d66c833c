// What is queued and what waits of one sender, where a pool is shared fairly.

#ifndef SLUICE_POOL_LANE_H_
#define SLUICE_POOL_LANE_H_

#include <cstddef>
#include <cstdint>
#include <utility>

#include "absl/container/btree_set.h"
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

// Of FairQueue, which alone changes it.
struct Lane {
  LaneKey key;
  // Those that can be taken.
  TaskList queued;
  TaskList waiting;
  // Of all that are admitted and not taken: also those that stand aside or are
  // committing.
  std::size_t depth = 0;
  std::size_t bytes = 0;
  std::size_t waiting_bytes = 0;
  StandingQueue standing;
  // Tasks of all lanes that are taken for one of this, a moving average while
  // it has something queued; 0 where that is not known. And how many had been
  // when its last was taken.
  double taken_for_one = 0;
  std::uint64_t last_taken = 0;

  bool idle() const { return depth == 0 && waiting.empty(); }

  // When its turn is, in the virtual time of its class; equals go by `turn`.
  std::uint64_t tag = 0;
  std::uint64_t turn = 0;
  // Nothing of it can be taken, and its tag is remembered.
  bool away = false;
};

// Lanes in an order that reads what changes in a lane: while that does, the
// lane must not be in it. One that is alone costs no memory. Owns nothing.
template <typename Before>
class LaneOrder {
 public:
  bool empty() const { return first_ == nullptr; }
  Lane* first() const { return first_; }
  std::size_t size() const {
    return rest_.size() + (first_ != nullptr ? 1 : 0);
  }

  void Add(Lane* lane) {
    if (first_ == nullptr) {
      first_ = lane;
    } else if (Before()(lane, first_)) {
      rest_.insert(first_);
      first_ = lane;
    } else {
      rest_.insert(lane);
    }
  }

  // `lane` must be in it.
  void Remove(Lane* lane) {
    if (lane != first_) {
      rest_.erase(lane);
    } else if (rest_.empty()) {
      first_ = nullptr;
    } else {
      first_ = *rest_.begin();
      rest_.erase(rest_.begin());
    }
  }

  // In their order.
  template <typename Visit>
  void ForEach(Visit visit) const {
    if (first_ == nullptr) return;
    visit(first_);
    for (Lane* lane : rest_) visit(lane);
  }

 private:
  Lane* first_ = nullptr;
  absl::btree_set<Lane*, Before> rest_;
};

}  // namespace sluice

#endif  // SLUICE_POOL_LANE_H_
