#include "stores/quarantined_ids.h"

#include <algorithm>

namespace sluice {

void QuarantinedIds::Add(const SubmissionKey& key,
                         const StoredReceipt& receipt) {
  absl::MutexLock lock(&mutex_);
  Entries& entries = by_key_[key];
  if (entries.size() == kContentsMax ||
      std::ranges::find(entries, receipt.sequence, &StoredReceipt::sequence) !=
          entries.end()) {
    return;
  }
  entries.push_back(receipt);
  size_.fetch_add(1, std::memory_order_relaxed);
}

void QuarantinedIds::Remove(const SubmissionKey& key, std::int64_t sequence) {
  absl::MutexLock lock(&mutex_);
  const auto found = by_key_.find(key);
  if (found == by_key_.end()) return;
  Entries& entries = found->second;
  const auto entry =
      std::ranges::find(entries, sequence, &StoredReceipt::sequence);
  if (entry == entries.end()) return;
  entries.erase(entry);
  if (entries.empty()) by_key_.erase(found);
  size_.fetch_sub(1, std::memory_order_relaxed);
}

bool QuarantinedIds::Find(const SubmissionKey& key,
                          const Sha256Digest& content_sha256,
                          StoredReceipt* receipt) const {
  // Usual case: take no lock.
  if (size() == 0) return false;
  absl::MutexLock lock(&mutex_);
  const auto found = by_key_.find(key);
  if (found == by_key_.end()) return false;
  const Entries& entries = found->second;
  const auto entry = std::ranges::find(entries, content_sha256,
                                       &StoredReceipt::content_sha256);
  if (entry == entries.end()) return false;
  *receipt = *entry;
  return true;
}

}  // namespace sluice
