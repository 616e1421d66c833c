// Bounds how much of a batch one lane gets while other lanes use the pool too.
//
// Turns alone do not protect a lane that seldom has much queued. The callers of
// such a lane wait for their results before they send more, so its queue is
// empty most of the time. A lane with a long queue would fill the rest of every
// batch, and the other callers would wait for batches that are full of its
// tasks.
// So, if only one lane has tasks left, the batch ends once the lane has as many
// tasks in it as the next lane. Rules:
//  - A lane may always have kAlone tasks in a batch, to keep batches efficient.
//  - Both numbers are for lanes of equal priority. A lane of another priority
//    than `normal` may have more or fewer tasks, by the weights of the
//    priorities.
//  - A lane that was alone for kTogether may fill its batches.
//
// Deterministic. Not thread-safe: belongs to a Gate.

#ifndef SLUICE_POOL_BATCH_SHARE_H_
#define SLUICE_POOL_BATCH_SHARE_H_

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <optional>

#include "absl/container/flat_hash_map.h"
#include "base/time.h"
#include "policies/priority.h"
#include "pool/lane.h"

namespace sluice {

class BatchShare {
 public:
  static constexpr std::size_t kAlone = 8;
  static constexpr Duration kTogether = std::chrono::seconds(1);

  void BeginBatch() {
    tasks_.clear();
    most_ = {};
    next_most_ = 0;
  }

  // Records that a task of the lane is taken into the batch.
  void Taken(const LaneKey& lane, TimePoint now) {
    if (last_ != lane) {
      if (last_.has_value()) together_until_ = now + kTogether;
      last_ = lane;
    }
    Count(lane, ++tasks_[lane]);
  }

  // True if the batch must end before a further task of the lane, which must
  // be the only lane with tasks that can be taken.
  bool HasEnough(const LaneKey& lane, TimePoint now) const {
    if (now >= together_until_) return false;
    const auto found = tasks_.find(lane);
    if (found == tasks_.end()) return false;
    const std::size_t most_of_others =
        lane == most_.lane ? next_most_ : most_.tasks;
    return found->second * kPriorityWeights[Index(Priority::kNormal)] >=
           std::max(kAlone, most_of_others) *
               kPriorityWeights[Index(lane.priority)];
  }

 private:
  // Updates the lanes with the most tasks: `lane` now has `tasks`.
  void Count(const LaneKey& lane, std::size_t tasks) {
    if (lane == most_.lane) {
      most_.tasks = tasks;
    } else if (tasks > most_.tasks) {
      next_most_ = most_.tasks;
      most_ = {lane, tasks};
    } else {
      next_most_ = std::max(next_most_, tasks);
    }
  }

  // Lane of the task that was taken last.
  std::optional<LaneKey> last_;
  // Until then the pool counts as used by more than one lane.
  TimePoint together_until_{};
  // Number of tasks in the batch, of each lane.
  absl::flat_hash_map<LaneKey, std::size_t> tasks_;
  // The lane with the most tasks in the batch.
  struct {
    std::optional<LaneKey> lane;
    std::size_t tasks = 0;
  } most_;
  // The most tasks that any other lane has.
  std::size_t next_most_ = 0;
};

}  // namespace sluice

#endif  // SLUICE_POOL_BATCH_SHARE_H_
