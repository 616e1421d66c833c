#include "server/recent_ids.h"

#include <algorithm>
#include <utility>

#include "absl/hash/hash.h"
#include "server/submission_task.h"

namespace sluice {

SubmissionKey SubmissionKey::Of(SubmissionKind kind, std::string_view study_id,
                                std::string_view submission_id) {
  return {{absl::HashOf(kind, study_id, submission_id),
           absl::HashOf(submission_id, study_id, kind)}};
}

RecentIds::RecentIds(std::size_t remembered_max)
    : half_max_(remembered_max / (2 * kShards)) {}

RecentIds::Arrival RecentIds::Arrive(
    const SubmissionKey& key, const std::shared_ptr<SubmissionTask>& task,
    const Sha256Digest& content_sha256, bool durably, StoredReceipt* receipt) {
  Shard& shard = ShardOf(key);
  absl::MutexLock lock(&shard.mutex);
  const auto known = shard.on_their_way.find(key);
  if (known == shard.on_their_way.end()) {
    const StoredReceipt* remembered = shard.Recall(key);
    if (remembered != nullptr && remembered->content_sha256 == content_sha256) {
      *receipt = *remembered;
      return Arrival::kKnown;
    }
    shard.on_their_way.emplace(key, OnItsWay{.leader = task,
                                             .content_sha256 = content_sha256,
                                             .acknowledged = std::nullopt,
                                             .followers = {}});
    return Arrival::kFirst;
  }
  OnItsWay& first = known->second;
  if (first.content_sha256 != content_sha256) return Arrival::kOther;
  if (first.acknowledged.has_value() && (first.durable || !durably)) {
    *receipt = *first.acknowledged;
    return Arrival::kQueued;
  }
  if (shard.followers >= kFollowersMax) return Arrival::kTooMany;
  task->DropContent();
  first.followers.push_back(task);
  ++shard.followers;
  return Arrival::kJoined;
}

std::vector<std::shared_ptr<SubmissionTask>> RecentIds::Acknowledge(
    const SubmissionKey& key, const SubmissionTask* leader,
    const StoredReceipt& receipt, bool durable) {
  Shard& shard = ShardOf(key);
  absl::MutexLock lock(&shard.mutex);
  const auto known = shard.on_their_way.find(key);
  if (known == shard.on_their_way.end() ||
      known->second.leader.get() != leader) {
    return {};
  }
  known->second.acknowledged = receipt;
  known->second.durable = durable;
  if (!durable) return {};
  shard.followers -= known->second.followers.size();
  return std::exchange(known->second.followers, {});
}

void RecentIds::Restore(const SubmissionKey& key,
                        const std::shared_ptr<SubmissionTask>& leader,
                        const StoredReceipt& receipt) {
  Shard& shard = ShardOf(key);
  absl::MutexLock lock(&shard.mutex);
  shard.on_their_way.try_emplace(
      key, OnItsWay{.leader = leader,
                    .content_sha256 = receipt.content_sha256,
                    .acknowledged = receipt,
                    .durable = true,
                    .followers = {}});
}

std::vector<std::shared_ptr<SubmissionTask>> RecentIds::End(
    const SubmissionKey& key, const SubmissionTask* leader,
    const std::optional<StoredReceipt>& stored) {
  Shard& shard = ShardOf(key);
  absl::MutexLock lock(&shard.mutex);
  if (stored.has_value()) shard.Remember(key, *stored, half_max_);
  const auto known = shard.on_their_way.find(key);
  if (known == shard.on_their_way.end() ||
      known->second.leader.get() != leader) {
    return {};
  }
  auto followers = std::move(known->second.followers);
  shard.followers -= followers.size();
  shard.on_their_way.erase(known);
  return followers;
}

RecentIds::Leaving RecentIds::Leave(const SubmissionKey& key,
                                    const SubmissionTask* task) {
  Shard& shard = ShardOf(key);
  absl::MutexLock lock(&shard.mutex);
  const auto known = shard.on_their_way.find(key);
  if (known == shard.on_their_way.end()) return Leaving::kAlone;
  OnItsWay& first = known->second;
  if (first.leader.get() == task) {
    return first.followers.empty() ? Leaving::kAlone : Leaving::kLeads;
  }
  const auto follower =
      std::ranges::find(first.followers, task,
                        [](const auto& followed) { return followed.get(); });
  if (follower == first.followers.end()) return Leaving::kAlone;
  first.followers.erase(follower);
  --shard.followers;
  return Leaving::kFollowed;
}

std::optional<StoredReceipt> RecentIds::FindAcknowledged(
    const SubmissionKey& key) const {
  const Shard& shard = ShardOf(key);
  absl::MutexLock lock(&shard.mutex);
  const auto known = shard.on_their_way.find(key);
  if (known == shard.on_their_way.end()) return std::nullopt;
  return known->second.acknowledged;
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
