#include "server/submissions/recent_ids.h"

#include <algorithm>
#include <utility>

#include "absl/hash/hash.h"
#include "base/hashed_text.h"
#include "server/submissions/submission_task.h"

namespace sluice {

SubmissionKey SubmissionKey::Of(SubmissionKind kind, std::string_view study_id,
                                std::string_view submission_id) {
  const absl::string_view study = HashedText(study_id);
  const absl::string_view id = HashedText(submission_id);
  return {{absl::HashOf(kind, study, id), absl::HashOf(id, study, kind)}};
}

RecentIds::RecentIds(std::size_t remembered_max)
    : half_max_(remembered_max / (2 * kShards)) {}

RecentIds::Arrival RecentIds::Arrive(
    const std::shared_ptr<SubmissionTask>& task, bool durably,
    StoredReceipt* receipt) {
  using Acknowledged = RecentId::Acknowledged;
  Shard& shard = ShardOf(task->key);
  absl::MutexLock lock(&shard.mutex);
  const Sha256Digest& content_sha256 = task->submission().content_sha256;
  const auto [known, is_first] =
      shard.on_their_way.try_emplace(task->key.hash[0], task);
  if (is_first) {
    const StoredReceipt* remembered = shard.Recall(task->key);
    if (remembered != nullptr && remembered->content_sha256 == content_sha256) {
      *receipt = *remembered;
      shard.on_their_way.erase(known);
      return Arrival::kKnown;
    }
    task->leads_ = true;
    return Arrival::kFirst;
  }
  SubmissionTask& first = *known->second;
  if (first.key != task->key ||
      first.submission().content_sha256 != content_sha256) {
    return Arrival::kOther;
  }
  if (first.acknowledged_ == Acknowledged::kDurably ||
      (first.acknowledged_ == Acknowledged::kFromMemory && !durably)) {
    *receipt = first.OwnReceipt();
    return Arrival::kQueued;
  }
  if (shard.followers >= kFollowersMax) return Arrival::kTooMany;
  task->DropContent();
  task->follower_ = std::exchange(first.follower_, task);
  ++shard.followers;
  return Arrival::kJoined;
}

std::vector<std::shared_ptr<SubmissionTask>> RecentIds::Acknowledge(
    SubmissionTask* leader, bool durable) {
  Shard& shard = ShardOf(leader->key);
  absl::MutexLock lock(&shard.mutex);
  if (!leader->leads_) return {};
  leader->acknowledged_ = durable ? RecentId::Acknowledged::kDurably
                                  : RecentId::Acknowledged::kFromMemory;
  if (!durable) return {};
  return shard.TakeFollowers(leader);
}

void RecentIds::Restore(const std::shared_ptr<SubmissionTask>& leader) {
  Shard& shard = ShardOf(leader->key);
  absl::MutexLock lock(&shard.mutex);
  if (!shard.on_their_way.try_emplace(leader->key.hash[0], leader).second) {
    return;
  }
  leader->leads_ = true;
  leader->acknowledged_ = RecentId::Acknowledged::kDurably;
}

std::vector<std::shared_ptr<SubmissionTask>> RecentIds::End(
    SubmissionTask* leader, const std::optional<StoredReceipt>& stored) {
  Shard& shard = ShardOf(leader->key);
  absl::MutexLock lock(&shard.mutex);
  if (stored.has_value()) shard.Remember(leader->key, *stored, half_max_);
  if (!leader->leads_) return {};
  leader->leads_ = false;
  shard.on_their_way.erase(leader->key.hash[0]);
  return shard.TakeFollowers(leader);
}

RecentIds::Leaving RecentIds::Leave(const SubmissionTask* task) {
  Shard& shard = ShardOf(task->key);
  absl::MutexLock lock(&shard.mutex);
  SubmissionTask* const first = shard.FindLeader(task->key);
  if (first == nullptr) return Leaving::kAlone;
  if (first == task) {
    return first->follower_ == nullptr ? Leaving::kAlone : Leaving::kLeads;
  }
  for (std::shared_ptr<SubmissionTask>* next = &first->follower_;
       *next != nullptr; next = &(*next)->follower_) {
    if (next->get() != task) continue;
    const auto left = std::move(*next);
    *next = std::move(left->follower_);
    --shard.followers;
    return Leaving::kFollowed;
  }
  return Leaving::kAlone;
}

std::optional<StoredReceipt> RecentIds::FindAcknowledged(
    const SubmissionKey& key) const {
  const Shard& shard = ShardOf(key);
  absl::MutexLock lock(&shard.mutex);
  const SubmissionTask* const first = shard.FindLeader(key);
  if (first == nullptr ||
      first->acknowledged_ == RecentId::Acknowledged::kNot) {
    return std::nullopt;
  }
  return first->OwnReceipt();
}

SubmissionTask* RecentIds::Shard::FindLeader(const SubmissionKey& key) const {
  const auto known = on_their_way.find(key.hash[0]);
  if (known == on_their_way.end() || known->second->key != key) return nullptr;
  return known->second.get();
}

std::vector<std::shared_ptr<SubmissionTask>> RecentIds::Shard::TakeFollowers(
    SubmissionTask* leader) {
  std::vector<std::shared_ptr<SubmissionTask>> taken;
  for (auto next = std::move(leader->follower_); next != nullptr;) {
    taken.push_back(std::move(next));
    next = std::move(taken.back()->follower_);
  }
  followers -= taken.size();
  // The last that came is the first of the list.
  std::ranges::reverse(taken);
  return taken;
}

void RecentIds::Shard::Remember(const SubmissionKey& key,
                                const StoredReceipt& receipt,
                                std::size_t half_max) {
  if (half_max == 0) return;
  if (younger.size() >= half_max) {
    older = std::move(younger);
    younger.clear();
  }
  younger.insert_or_assign(key, receipt);
}

const StoredReceipt* RecentIds::Shard::Recall(const SubmissionKey& key) const {
  for (const Remembered* half : {&younger, &older}) {
    const auto found = half->find(key);
    if (found != half->end()) return &found->second;
  }
  return nullptr;
}

}  // namespace sluice
