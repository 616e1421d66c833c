#include "stores/quarantined_ids.h"

#include <algorithm>

namespace sluice {

void QuarantinedIds::Add(const SubmissionKey& key, const StoredReceipt& receipt,
                         std::string_view reason) {
  absl::MutexLock lock(&mutex_);
  Entries& entries = by_key_[key];
  if (std::ranges::any_of(entries, [&](const Entry& entry) {
        return entry.receipt.sequence == receipt.sequence;
      })) {
    return;
  }
  entries.push_back({.receipt = receipt,
                     .store_has_other = reason == kStoredWithOtherContent});
  size_.fetch_add(1, std::memory_order_relaxed);
}

void QuarantinedIds::Remove(const SubmissionKey& key, std::int64_t sequence) {
  absl::MutexLock lock(&mutex_);
  const auto found = by_key_.find(key);
  if (found == by_key_.end()) return;
  Entries& entries = found->second;
  const auto entry = std::find_if(
      entries.begin(), entries.end(),
      [&](const Entry& each) { return each.receipt.sequence == sequence; });
  if (entry == entries.end()) return;
  entries.erase(entry);
  if (entries.empty()) by_key_.erase(found);
  size_.fetch_sub(1, std::memory_order_relaxed);
}

QuarantinedIds::Known QuarantinedIds::Find(const SubmissionKey& key,
                                           const Sha256Digest& content_sha256,
                                           StoredReceipt* receipt) const {
  // Usual case: take no lock.
  if (size() == 0) return Known::kNothing;
  absl::MutexLock lock(&mutex_);
  const auto found = by_key_.find(key);
  if (found == by_key_.end()) return Known::kNothing;
  bool store_has_other = false;
  for (const Entry& entry : found->second) {
    if (entry.receipt.content_sha256 == content_sha256) {
      *receipt = entry.receipt;
      return Known::kSame;
    }
    store_has_other |= entry.store_has_other;
  }
  return store_has_other ? Known::kNothing : Known::kOther;
}

}  // namespace sluice
