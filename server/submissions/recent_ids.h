// Recognises a submission that comes again before it is queued: while the first
// is on its way the two share one outcome, and afterwards the receipt of the
// first is remembered for a while. The store's unique key has the last word.

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

// A submission's id in its study and kind, as a hash that nobody can predict.
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

// What a submission has for RecentIds to find it by and to keep in it.
class RecentId {
 public:
  // Constant from the first that RecentIds sees of it.
  SubmissionKey key;

 private:
  friend class RecentIds;

  // Under the lock of the key's shard:
  enum class Acknowledged : std::uint8_t { kNot, kFromMemory, kDurably };
  Acknowledged acknowledged_ = Acknowledged::kNot;
  bool leads_ = false;
  // The first of those that follow, and of a follower the next one.
  std::shared_ptr<SubmissionTask> follower_;
};

// Thread-safe; holds its locks for moments only.
class RecentIds {
 public:
  // Of a shard: no more than this follow others at a time.
  static constexpr std::size_t kFollowersMax = 1024;

  // Remembers between `remembered_max` and half as many of those that ended.
  explicit RecentIds(std::size_t remembered_max);

  enum class Arrival {
    kFirst,    // it leads: End is due, once
    kJoined,   // it follows another: whoever ends that one answers it
    kTooMany,  // it would follow another, but too many do
    kQueued,   // the first is acknowledged, and on its way: see `receipt`
    kKnown,    // the first is stored: see `receipt`
    kOther,    // on its way is another content; not noted, no End is due
  };

  // `task` is noted where it is kFirst or kJoined, and loses its content where
  // it is kJoined. The same means: the same bytes. Where
  // `durably`, one that is acknowledged from memory only is followed to its
  // end.
  Arrival Arrive(const std::shared_ptr<SubmissionTask>& task, bool durably,
                 StoredReceipt* receipt);

  // The leader is acknowledged, from a journal where it is `durable`, and its
  // end still to come. Those that follow it until now are the caller's to
  // answer where it is durable; otherwise they wait for its end.
  [[nodiscard]] std::vector<std::shared_ptr<SubmissionTask>> Acknowledge(
      SubmissionTask* leader, bool durable);

  // One that was acknowledged before a restart: as if it had just been.
  void Restore(const std::shared_ptr<SubmissionTask>& leader);

  // The leader has ended, and left `stored` to remember, if anything. Those
  // that follow it are the caller's to answer.
  [[nodiscard]] std::vector<std::shared_ptr<SubmissionTask>> End(
      SubmissionTask* leader, const std::optional<StoredReceipt>& stored);

  enum class Leaving {
    kFollowed,  // it followed, and does no more
    kLeads,     // others follow it: it has to go on
    kAlone,     // nobody follows it now
  };
  // The caller of `task` has gone.
  Leaving Leave(const SubmissionTask* task);

  // The receipt of one that is acknowledged and has not ended.
  std::optional<StoredReceipt> FindAcknowledged(const SubmissionKey& key) const;

 private:
  // By the first half of the key, which finds it; the leader has all of it.
  using OnTheirWay =
      absl::flat_hash_map<std::uint64_t, std::shared_ptr<SubmissionTask>>;
  using Remembered = absl::flat_hash_map<SubmissionKey, StoredReceipt>;

  // Each has its part of the keys, so that threads seldom meet.
  struct Shard {
    mutable absl::Mutex mutex;
    OnTheirWay on_their_way ABSL_GUARDED_BY(mutex);
    std::size_t followers ABSL_GUARDED_BY(mutex) = 0;
    // Of those that ended: what does not fit into the younger half displaces
    // the older.
    Remembered younger ABSL_GUARDED_BY(mutex);
    Remembered older ABSL_GUARDED_BY(mutex);

    void Remember(const SubmissionKey& key, const StoredReceipt& receipt,
                  std::size_t half_max) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);
    const StoredReceipt* Recall(const SubmissionKey& key) const
        ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);
    // Null where there is none.
    SubmissionTask* FindLeader(const SubmissionKey& key) const
        ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);
    // All that follow the leader, which nobody does then.
    std::vector<std::shared_ptr<SubmissionTask>> TakeFollowers(
        SubmissionTask* leader) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);
  };
  static constexpr std::size_t kShards = 16;

  Shard& ShardOf(const SubmissionKey& key) {
    return shards_[key.hash[1] % kShards];
  }
  const Shard& ShardOf(const SubmissionKey& key) const {
    return shards_[key.hash[1] % kShards];
  }

  const std::size_t half_max_;  // of a shard
  std::array<Shard, kShards> shards_;
};

}  // namespace sluice

#endif  // SLUICE_SERVER_SUBMISSIONS_RECENT_IDS_H_
