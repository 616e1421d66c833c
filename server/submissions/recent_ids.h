// Recognises repeated submissions before they are queued.
//
// While the first submission of an id, the leader, is on its way to the store,
// later submissions with the same content are not queued. They become followers
// of the leader, and are answered together with it. After the leader is stored,
// its receipt is remembered for a while. The receipts only save work: the
// store's unique key keeps ids unique.
//
// Remembered outcomes belong to a generation of the store (Store::Generation).
// If the store may have got another content, for example
// because its database was replaced by an older copy, everything that is
// remembered is forgotten before it is used, and the store decides again.
// Leaders are not affected: they will be saved.
//
// If the bytes of two submissions differ, only the store can tell whether they
// are a conflict: they may mean the same, and the first content may be gone
// from memory. A conflict that the store has found is remembered, so that the
// same content is refused at once when it is sent again.
//
// A promised submission (Task::promised) that is in quarantine already is not
// offered to the pool (quarantined_ids.h): it would be acknowledged, and
// quarantined again under a second sequence number. A submission whose caller
// waits for the store may still try the store.

#ifndef SLUICE_SERVER_SUBMISSIONS_RECENT_IDS_H_
#define SLUICE_SERVER_SUBMISSIONS_RECENT_IDS_H_

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "stores/quarantined_ids.h"
#include "stores/store.h"
#include "stores/submission_key.h"

namespace sluice {

class SubmissionTask;

// The part of a SubmissionTask that belongs to RecentIds.
class RecentId {
 public:
  // Constant after the first call of RecentIds.
  SubmissionKey key;
  // The store's generation before the store was asked to save the task. Set by
  // the worker.
  std::uint32_t generation = 0;

 private:
  friend class RecentIds;

  // The members below are guarded by the mutex of the key's shard.
  enum class Acknowledged : std::uint8_t { kNot, kFromMemory, kDurably };
  Acknowledged acknowledged_ = Acknowledged::kNot;
  // True while the task is in Shard::leaders.
  bool leads_ = false;
  // True while Shard::restored has the receipt of the task.
  bool restored_ = false;
  // Link of a singly linked list. In a leader: its latest follower. In a
  // follower: the previous follower.
  std::shared_ptr<SubmissionTask> follower_;
};

// Thread-safe. Calls hold locks only for short critical sections.
class RecentIds {
 public:
  // Maximum number of followers in a shard.
  static constexpr std::size_t kFollowersMax = 1024;

  // Remembers at least `remembered_max` / 2 and at most `remembered_max`
  // receipts, and as many conflicts. `generation` returns the store's
  // generation. It is called, with a lock held, only if a remembered outcome
  // would be used.
  explicit RecentIds(
      std::size_t remembered_max,
      std::function<std::uint32_t()> generation = [] { return 0; });

  enum class Arrival {
    kFirst,     // leader: offer the task to the pool; End must follow
    kJoined,    // follower: the end of its leader answers the task
    kTooMany,   // there are already too many followers
    kQueued,    // the leader is acknowledged: answer with `receipt`
    kKnown,     // stored, or in quarantine: answer with `receipt`
    kOther,     // the leader has other content: offer the task to the pool
    kConflict,  // the store has refused this content: answer CONFLICT
  };

  // Classifies `task`, and enters it if it becomes a leader or a follower. A
  // follower loses its content. Contents are equal if their bytes have the same
  // SHA-256.
  //
  // `durably`: the caller needs a durable result. The acknowledgement of a
  // leader that is only in memory is then not enough, and the task becomes a
  // follower.
  Arrival Arrive(const std::shared_ptr<SubmissionTask>& task, bool durably,
                 StoredReceipt* receipt);

  // Records that the task was acknowledged but is not stored yet. If it is a
  // leader and `durable` (in a journal), returns its followers, which the
  // caller must answer. Otherwise followers wait for the leader's end. Must be
  // called at most once.
  [[nodiscard]] std::vector<std::shared_ptr<SubmissionTask>> Acknowledge(
      SubmissionTask* task, bool durable);

  // Enters a task that was acknowledged durably, before a restart or before it
  // was quarantined. From now on the task does not count as quarantined.
  void Restore(const std::shared_ptr<SubmissionTask>& task);

  // The part of a task's result that is remembered.
  struct Outcome {
    std::optional<StoredReceipt> stored = std::nullopt;
    // True if the store has other content under the id.
    bool conflict = false;
  };
  // Records that the task has ended, and remembers its outcome for the
  // generation RecentId::generation. Returns the followers of a leader, which
  // the caller must answer.
  [[nodiscard]] std::vector<std::shared_ptr<SubmissionTask>> End(
      SubmissionTask* task, const Outcome& outcome);

  enum class Leaving {
    kFollowed,  // the task was a follower, and has been removed
    kLeads,     // the task has followers, so it must be processed
    kAlone,     // the task has no followers at present
  };
  // To be called when the caller of `task` has cancelled or disconnected.
  Leaving Leave(const SubmissionTask* task);

  // Returns the receipt of a submission that is acknowledged and has not ended.
  std::optional<StoredReceipt> FindAcknowledged(const SubmissionKey& key) const;

  // The submissions in the quarantines of all journals.
  QuarantinedIds& quarantined() { return quarantined_; }
  const QuarantinedIds& quarantined() const { return quarantined_; }

  // True if no task leads or follows another.
  bool empty() const;
  // Returns the first broken invariant; empty if all hold. For tests: O(tasks).
  std::string CheckInvariants() const;

 private:
  // Leaders by the first half of the key, to save memory. The leader has the
  // whole key.
  using Leaders =
      absl::flat_hash_map<std::uint64_t, std::shared_ptr<SubmissionTask>>;

  // Values of the keys that were remembered last. Two halves approximate "least
  // recently remembered" without a list: when the younger half is full, the
  // older half is forgotten as a whole.
  template <typename Value>
  class Remembered {
   public:
    void Remember(const SubmissionKey& key, const Value& value,
                  std::size_t half_max) {
      if (half_max == 0) return;
      if (younger_.size() >= half_max) {
        older_ = std::move(younger_);
        younger_.clear();
      }
      younger_.insert_or_assign(key, value);
    }
    // Returns the value of a key, or null.
    const Value* Recall(const SubmissionKey& key) const {
      for (const Half* half : {&younger_, &older_}) {
        const auto found = half->find(key);
        if (found != half->end()) return &found->second;
      }
      return nullptr;
    }
    // Size of the larger half.
    std::size_t half_size() const {
      return std::max(younger_.size(), older_.size());
    }

   private:
    using Half = absl::flat_hash_map<SubmissionKey, Value>;

    Half younger_;
    Half older_;
  };

  // A part of the keys. With several shards, threads seldom wait for each
  // other.
  struct Shard {
    mutable absl::Mutex mutex;
    Leaders leaders ABSL_GUARDED_BY(mutex);
    // Number of followers of all leaders.
    std::size_t followers ABSL_GUARDED_BY(mutex) = 0;
    // The store's generation to which `stored` and `refused` belong.
    std::uint32_t generation ABSL_GUARDED_BY(mutex) = 0;
    Remembered<StoredReceipt> stored ABSL_GUARDED_BY(mutex);
    // Receipts of restored tasks that do not lead, because their ids have
    // another leader. The leader may be a repetition that is not acknowledged.
    absl::flat_hash_map<SubmissionKey, StoredReceipt> restored
        ABSL_GUARDED_BY(mutex);
    // For each id, the SHA-256 of the content that was refused last.
    Remembered<Sha256Digest> refused ABSL_GUARDED_BY(mutex);

    // Forgets what belongs to another generation than `present`.
    void ForgetOthers(std::uint32_t present)
        ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);
    // Returns the leader of a key, or null.
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

  // True if the store still has the content to which the memory of the shard
  // belongs. Otherwise forgets this memory.
  bool IsPresent(Shard& shard) ABSL_EXCLUSIVE_LOCKS_REQUIRED(shard.mutex);

  const std::size_t half_max_;  // capacity of each half of a shard
  const std::function<std::uint32_t()> generation_;
  QuarantinedIds quarantined_;
  std::array<Shard, kShards> shards_;
};

}  // namespace sluice

#endif  // SLUICE_SERVER_SUBMISSIONS_RECENT_IDS_H_
