#include "server/recent_ids.h"

#include <algorithm>
#include <utility>

#include "absl/hash/hash.h"
#include "server/hashed_text.h"
#include "server/submission_task.h"

namespace sluice {

SubmissionKey SubmissionKey::Of(SubmissionKind kind, std::string_view study_id,
                                std::string_view submission_id) {
  const absl::string_view study = HashedText(study_id);
  const absl::string_view id = HashedText(submission_id);
  return {{absl::HashOf(kind, study, id), absl::HashOf(id, study, kind)}};
}

std::size_t RecentIds::HashOfKey::operator()(const Leader& leader) const {
  return absl::HashOf(leader->key);
}

std::size_t RecentIds::HashOfKey::operator()(const SubmissionKey& key) const {
  return absl::HashOf(key);
}

bool RecentIds::HasKey::operator()(const Leader& a, const Leader& b) const {
  return a->key == b->key;
}

bool RecentIds::HasKey::operator()(const Leader& leader,
                                   const SubmissionKey& key) const {
  return leader->key == key;
}

RecentIds::RecentIds(std::size_t remembered_max)
    : half_max_(remembered_max / (2 * kShards)) {}

RecentIds::Arrival RecentIds::Arrive(
    const std::shared_ptr<SubmissionTask>& task, bool durably,
    StoredReceipt* receipt) {
  using Acknowledged = RecentId::Acknowledged;
  Shard& shard = ShardOf(task->key);
  absl::MutexLock lock(&shard.mutex);
  const auto known = shard.on_their_way.find(task->key);
  const Sha256Digest& content_sha256 = task->submission().content_sha256;
  if (known == shard.on_their_way.end()) {
    const StoredReceipt* remembered = shard.Recall(task->key);
    if (remembered != nullptr && remembered->content_sha256 == content_sha256) {
      *receipt = *remembered;
      return Arrival::kKnown;
    }
    shard.on_their_way.insert(task);
    return Arrival::kFirst;
  }
  SubmissionTask& first = **known;
  if (first.submission().content_sha256 != content_sha256) {
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
  if (shard.FindLeader(leader) == nullptr) return {};
  leader->acknowledged_ = durable ? RecentId::Acknowledged::kDurably
                                  : RecentId::Acknowledged::kFromMemory;
  if (!durable) return {};
  return shard.TakeFollowers(leader);
}

void RecentIds::Restore(const std::shared_ptr<SubmissionTask>& leader) {
  Shard& shard = ShardOf(leader->key);
  absl::MutexLock lock(&shard.mutex);
  if (!shard.on_their_way.insert(leader).second) return;
  leader->acknowledged_ = RecentId::Acknowledged::kDurably;
}

std::vector<std::shared_ptr<SubmissionTask>> RecentIds::End(
    SubmissionTask* leader, const std::optional<StoredReceipt>& stored) {
  Shard& shard = ShardOf(leader->key);
  absl::MutexLock lock(&shard.mutex);
  if (stored.has_value()) shard.Remember(leader->key, *stored, half_max_);
  if (shard.FindLeader(leader) == nullptr) return {};
  shard.on_their_way.erase(leader->key);
  return shard.TakeFollowers(leader);
}

RecentIds::Leaving RecentIds::Leave(const SubmissionTask* task) {
  Shard& shard = ShardOf(task->key);
  absl::MutexLock lock(&shard.mutex);
  const auto known = shard.on_their_way.find(task->key);
  if (known == shard.on_their_way.end()) return Leaving::kAlone;
  SubmissionTask& first = **known;
  if (&first == task) {
    return first.follower_ == nullptr ? Leaving::kAlone : Leaving::kLeads;
  }
  for (std::shared_ptr<SubmissionTask>* next = &first.follower_;
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
  const auto known = shard.on_their_way.find(key);
  if (known == shard.on_their_way.end() ||
      (*known)->acknowledged_ == RecentId::Acknowledged::kNot) {
    return std::nullopt;
  }
  return (*known)->OwnReceipt();
}

SubmissionTask* RecentIds::Shard::FindLeader(const SubmissionTask* task) const {
  const auto known = on_their_way.find(task->key);
  if (known == on_their_way.end() || known->get() != task) return nullptr;
  return known->get();
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
