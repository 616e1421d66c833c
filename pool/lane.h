// What is queued and what waits of one sender, where a pool is shared fairly.

#ifndef SLUICE_POOL_LANE_H_
#define SLUICE_POOL_LANE_H_

#include <cstddef>
#include <cstdint>
#include <utility>

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

  bool idle() const { return depth == 0 && waiting.empty(); }

  // Of the ring that it is in.
  Lane* previous = nullptr;
  Lane* next = nullptr;
};

// Lanes that take turns, linked through themselves. Owns nothing; a lane is in
// one at most.
class LaneRing {
 public:
  bool empty() const { return front_ == nullptr; }
  // Whose turn it is.
  Lane* front() const { return front_; }

  void PushBack(Lane* lane) {
    lane->previous = back_;
    lane->next = nullptr;
    (back_ != nullptr ? back_->next : front_) = lane;
    back_ = lane;
  }

  // `lane` must be in it.
  void Remove(Lane* lane) {
    (lane->previous != nullptr ? lane->previous->next : front_) = lane->next;
    (lane->next != nullptr ? lane->next->previous : back_) = lane->previous;
  }

 private:
  Lane* front_ = nullptr;
  Lane* back_ = nullptr;
};

}  // namespace sluice

#endif  // SLUICE_POOL_LANE_H_
