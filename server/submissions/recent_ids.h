// Recognises a submission that arrives again, before it is queued.
//
// While the first submission of an id, the leader, is on its way to the store,
// later ones with the same content are not queued: they become followers of the
// leader, and are answered together with it. After the leader has been stored,
// its receipt is remembered for a while. This saves work, and is not what keeps
// ids unique: the unique key of the store does.

#ifndef SLUICE_SERVER_SUBMISSIONS_RECENT_IDS_H_
#define SLUICE_SERVER_SUBMISSIONS_RECENT_IDS_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "stores/store.h"

namespace sluice {

// A hash of a submission's kind, study and id, with a seed that callers cannot
// know.
struct SubmissionKey {
  static SubmissionKey Of(SubmissionKind kind, std::string_view study_id,
                          std::string_view submission_id);
  static SubmissionKey Of(const ReceivedSubmission& submission) {
    return Of(submission.kind, submission.study_id, submission.submission_id);
  }

  std::array<std::uint64_t, 2> hash{};

  bool operator==(const SubmissionKey&) const = default;
  template <typename H>
  friend H AbslHashValue(H state, const SubmissionKey& key) {
    return H::combine(std::move(state), key.hash[0]);
  }
};

class SubmissionTask;

// The part of a SubmissionTask that belongs to RecentIds.
class RecentId {
 public:
  // Constant from the first call of RecentIds on.
  SubmissionKey key;

 private:
  friend class RecentIds;

  // Guarded by the mutex of the key's shard:
  enum class Acknowledged : std::uint8_t { kNot, kFromMemory, kDurably };
  Acknowledged acknowledged_ = Acknowledged::kNot;
  // True while the task is in Shard::leaders.
  bool leads_ = false;
  // A singly linked list. In a leader, its latest follower; in a follower, the
  // follower that arrived before it.
  std::shared_ptr<SubmissionTask> follower_;
};

// Thread-safe. Calls wait for nothing but short critical sections.
class RecentIds {
 public:
  // The most followers of a shard.
  static constexpr std::size_t kFollowersMax = 1024;

  // Remembers at least half of `remembered_max` receipts, and at most all.
  explicit RecentIds(std::size_t remembered_max);

  enum class Arrival {
    kFirst,    // the task is a leader: offer it to the pool; End is due
    kJoined,   // the task is a follower: its leader's end answers it
    kTooMany,  // the task would be a follower, but there are too many
    kQueued,   // the leader is acknowledged: answer with `receipt`
    kKnown,    // the submission is stored: answer with `receipt`
    kOther,    // the leader has another content: offer the task to the pool
  };

  // Decides what `task` is. Enters it if it becomes a leader or a follower; a
  // follower loses its content. Contents are the same if their bytes are.
  //
  // `durably`: the caller wants a durable result, so the acknowledgement of a
  // leader that is in memory only is not enough, and the task becomes a
  // follower.
  Arrival Arrive(const std::shared_ptr<SubmissionTask>& task, bool durably,
                 StoredReceipt* receipt);

  // The task has been acknowledged, and has not been stored yet. If it is a
  // leader and `durable` (in a journal), returns its followers, which the
  // caller must answer. Otherwise followers wait for the leader's end. Once.
  [[nodiscard]] std::vector<std::shared_ptr<SubmissionTask>> Acknowledge(
      SubmissionTask* task, bool durable);

  // Enters a task that was acknowledged durably before a restart.
  void Restore(const std::shared_ptr<SubmissionTask>& task);

  // The task has ended. Remembers `stored`, if there is one. Returns the
  // followers, which the caller must answer; none unless the task is a leader.
  [[nodiscard]] std::vector<std::shared_ptr<SubmissionTask>> End(
      SubmissionTask* task, const std::optional<StoredReceipt>& stored);

  enum class Leaving {
    kFollowed,  // the task was a follower, and is none any more
    kLeads,     // the task has followers, so it must be worked
    kAlone,     // the task has no followers at present
  };
  // The caller of `task` has cancelled or disconnected.
  Leaving Leave(const SubmissionTask* task);

  // Returns the receipt of a submission that is acknowledged and has not ended.
  std::optional<StoredReceipt> FindAcknowledged(const SubmissionKey& key) const;

 private:
  // By the first half of the key, to save memory; the leader has the whole key.
  using Leaders =
      absl::flat_hash_map<std::uint64_t, std::shared_ptr<SubmissionTask>>;
  using Remembered = absl::flat_hash_map<SubmissionKey, StoredReceipt>;

  // The keys are spread over shards, so that threads seldom wait for each
  // other.
  struct Shard {
    mutable absl::Mutex mutex;
    Leaders leaders ABSL_GUARDED_BY(mutex);
    // Number of followers of all leaders.
    std::size_t followers ABSL_GUARDED_BY(mutex) = 0;
    // Receipts of stored submissions. When `younger` is full it replaces
    // `older`.
    Remembered younger ABSL_GUARDED_BY(mutex);
    Remembered older ABSL_GUARDED_BY(mutex);

    void Remember(const SubmissionKey& key, const StoredReceipt& receipt,
                  std::size_t half_max) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);
    // Returns the remembered receipt; null if there is none.
    const StoredReceipt* Recall(const SubmissionKey& key) const
        ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);
    // Returns the leader of a key; null if there is none.
    SubmissionTask* FindLeader(const SubmissionKey& key) const
        ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);
    // Removes all followers of a leader and returns them, earliest first.
    std::vector<std::shared_ptr<SubmissionTask>> TakeFollowers(RecentId* leader)
        ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);
  };
  static constexpr std::size_t kShards = 16;

  Shard& ShardOf(const SubmissionKey& key) {
    return shards_[key.hash[1] % kShards];
  }
  const Shard& ShardOf(const SubmissionKey& key) const {
    return shards_[key.hash[1] % kShards];
  }

  const std::size_t half_max_;  // of each half of a shard
  std::array<Shard, kShards> shards_;
};

}  // namespace sluice

#endif  // SLUICE_SERVER_SUBMISSIONS_RECENT_IDS_H_
