#include "server/submissions/recent_ids.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "server/submissions/submission_task.h"

namespace sluice {

RecentIds::RecentIds(std::size_t remembered_max,
                     std::function<std::uint32_t()> generation)
    : half_max_(remembered_max / (2 * kShards)),
      generation_(std::move(generation)) {}

RecentIds::Arrival RecentIds::Arrive(
    const std::shared_ptr<SubmissionTask>& task, bool durably,
    StoredReceipt* receipt) {
  using Acknowledged = RecentId::Acknowledged;
  RecentId& id = task->recent_id();
  Shard& shard = ShardOf(id.key);
  absl::MutexLock lock(&shard.mutex);
  SLUICE_DCHECK(!id.leads_ && id.follower_ == nullptr);
  const Sha256Digest& content_sha256 = task->submission().content_sha256;
  const Sha256Digest* refused = shard.refused.Recall(id.key);
  if (refused != nullptr && *refused == content_sha256 && IsPresent(shard)) {
    return Arrival::kConflict;
  }
  if (task->promised && quarantined_.Find(id.key, content_sha256, receipt)) {
    return Arrival::kKnown;
  }
  // Most submissions are the first with their id, so use one look-up to find
  // and to insert.
  const auto [found, is_first] =
      shard.leaders.try_emplace(id.key.hash[0], task);
  if (is_first) {
    const StoredReceipt* remembered = shard.stored.Recall(id.key);
    // A remembered receipt with another digest decides nothing: the store must
    // tell whether it is a conflict.
    if (remembered != nullptr && remembered->content_sha256 == content_sha256 &&
        IsPresent(shard)) {
      *receipt = *remembered;
      shard.leaders.erase(found);
      return Arrival::kKnown;
    }
    id.leads_ = true;
    return Arrival::kFirst;
  }
  SubmissionTask& leader = *found->second;
  RecentId& leaders_id = leader.recent_id();
  // The map compares half of the key. Two ids with the same half are very rare;
  // the second task then does not become a leader.
  if (leaders_id.key != id.key ||
      leader.submission().content_sha256 != content_sha256) {
    return Arrival::kOther;
  }
  if (leaders_id.acknowledged_ == Acknowledged::kDurably ||
      (leaders_id.acknowledged_ == Acknowledged::kFromMemory && !durably)) {
    *receipt = leader.OwnReceipt();
    return Arrival::kQueued;
  }
  if (shard.followers >= kFollowersMax) return Arrival::kTooMany;
  // Must be called under the lock: once the lock is released, the leader may
  // end on another thread and take its followers.
  task->Follow();
  id.follower_ = std::exchange(leaders_id.follower_, task);
  ++shard.followers;
  return Arrival::kJoined;
}

std::vector<std::shared_ptr<SubmissionTask>> RecentIds::Acknowledge(
    SubmissionTask* task, bool durable) {
  RecentId& id = task->recent_id();
  Shard& shard = ShardOf(id.key);
  absl::MutexLock lock(&shard.mutex);
  // The task is not a leader, or a worker has ended it before its
  // acknowledgement.
  if (!id.leads_) return {};
  SLUICE_DCHECK(id.acknowledged_ == RecentId::Acknowledged::kNot);
  id.acknowledged_ = durable ? RecentId::Acknowledged::kDurably
                             : RecentId::Acknowledged::kFromMemory;
  // Followers may need a durable result, which a queue in memory does not give.
  if (!durable) return {};
  return shard.TakeFollowers(&id);
}

void RecentIds::Restore(const std::shared_ptr<SubmissionTask>& task) {
  RecentId& id = task->recent_id();
  Shard& shard = ShardOf(id.key);
  absl::MutexLock lock(&shard.mutex);
  // In one critical section with the entry as a leader, so that a repetition
  // finds the submission in one of the two places.
  quarantined_.Remove(id.key, task->sequence);
  // A journal may contain an id twice, and a repetition may have arrived before
  // the entry was read. The entry is then not a leader, and the store reports
  // the duplicate.
  if (!shard.leaders.try_emplace(id.key.hash[0], task).second) {
    id.restored_ =
        shard.restored.try_emplace(id.key, task->OwnReceipt()).second;
    return;
  }
  id.leads_ = true;
  id.acknowledged_ = RecentId::Acknowledged::kDurably;
}

std::vector<std::shared_ptr<SubmissionTask>> RecentIds::End(
    SubmissionTask* task, const Outcome& outcome) {
  RecentId& id = task->recent_id();
  Shard& shard = ShardOf(id.key);
  absl::MutexLock lock(&shard.mutex);
  // Remember the receipt in the critical section that ends the leader, so that
  // a submission with this id always finds either the leader or the receipt.
  //
  // The generation was read before the store saved the task. If the store's
  // content was replaced since, the shard gets the old generation here, and the
  // next use finds that the store has another one.
  if (outcome.stored.has_value() || outcome.conflict) {
    shard.ForgetOthers(id.generation);
  }
  if (outcome.stored.has_value()) {
    shard.stored.Remember(id.key, *outcome.stored, half_max_);
  }
  if (outcome.conflict) {
    shard.refused.Remember(id.key, task->submission().content_sha256,
                           half_max_);
  }
  if (id.restored_) shard.restored.erase(id.key);
  id.restored_ = false;
  if (!id.leads_) return {};
  id.leads_ = false;
  const auto erased = shard.leaders.erase(id.key.hash[0]);
  SLUICE_DCHECK_EQ(erased, 1u);
  static_cast<void>(erased);
  return shard.TakeFollowers(&id);
}

RecentIds::Leaving RecentIds::Leave(const SubmissionTask* task) {
  const RecentId& id = task->recent_id();
  Shard& shard = ShardOf(id.key);
  absl::MutexLock lock(&shard.mutex);
  SubmissionTask* const leader = shard.FindLeader(id.key);
  if (leader == nullptr) return Leaving::kAlone;
  if (leader == task) {
    return id.follower_ == nullptr ? Leaving::kAlone : Leaving::kLeads;
  }
  for (std::shared_ptr<SubmissionTask>* next = &leader->recent_id().follower_;
       *next != nullptr; next = &(*next)->recent_id().follower_) {
    if (next->get() != task) continue;
    const auto left = std::move(*next);
    *next = std::move(left->recent_id().follower_);
    --shard.followers;
    return Leaving::kFollowed;
  }
  return Leaving::kAlone;
}

std::optional<StoredReceipt> RecentIds::FindAcknowledged(
    const SubmissionKey& key) const {
  const Shard& shard = ShardOf(key);
  absl::MutexLock lock(&shard.mutex);
  const SubmissionTask* const leader = shard.FindLeader(key);
  if (leader != nullptr &&
      leader->recent_id().acknowledged_ != RecentId::Acknowledged::kNot) {
    return leader->OwnReceipt();
  }
  const auto restored = shard.restored.find(key);
  if (restored == shard.restored.end()) return std::nullopt;
  return restored->second;
}

bool RecentIds::empty() const {
  return std::ranges::all_of(shards_, [](const Shard& shard) {
    absl::MutexLock lock(&shard.mutex);
    return shard.leaders.empty();
  });
}

std::string RecentIds::CheckInvariants() const {
  for (const Shard& shard : shards_) {
    absl::MutexLock lock(&shard.mutex);
    std::size_t followers = 0;
    for (const auto& [half_key, leader] : shard.leaders) {
      const RecentId& id = leader->recent_id();
      if (!id.leads_ || id.key.hash[0] != half_key) {
        return "recent ids: a leader that does not lead";
      }
      for (const SubmissionTask* next = id.follower_.get(); next != nullptr;
           next = next->recent_id().follower_.get()) {
        if (next->recent_id().leads_ || next->recent_id().key != id.key ||
            next->stage() != SubmissionTask::Stage::kFollowing) {
          return "recent ids: a follower that does not follow";
        }
        ++followers;
      }
    }
    if (followers != shard.followers) {
      return absl::StrCat("recent ids: counts ", shard.followers,
                          " followers, but has ", followers);
    }
    if (shard.stored.half_size() > half_max_ ||
        shard.refused.half_size() > half_max_) {
      return "recent ids: remembers too many outcomes";
    }
  }
  return "";
}

bool RecentIds::IsPresent(Shard& shard) {
  const std::uint32_t remembered = shard.generation;
  shard.ForgetOthers(generation_());
  return shard.generation == remembered;
}

void RecentIds::Shard::ForgetOthers(std::uint32_t present) {
  if (generation == present) return;
  stored = {};
  refused = {};
  generation = present;
}

SubmissionTask* RecentIds::Shard::FindLeader(const SubmissionKey& key) const {
  const auto found = leaders.find(key.hash[0]);
  if (found == leaders.end() || found->second->recent_id().key != key) {
    return nullptr;
  }
  return found->second.get();
}

std::vector<std::shared_ptr<SubmissionTask>> RecentIds::Shard::TakeFollowers(
    RecentId* leader) {
  std::vector<std::shared_ptr<SubmissionTask>> taken;
  for (auto next = std::move(leader->follower_); next != nullptr;) {
    taken.push_back(std::move(next));
    next = std::move(taken.back()->recent_id().follower_);
  }
  SLUICE_DCHECK_LE(taken.size(), followers);
  followers -= taken.size();
  // New followers are at the front of the list, but must be answered in the
  // order of their arrival.
  std::ranges::reverse(taken);
  return taken;
}

}  // namespace sluice
