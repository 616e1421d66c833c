#include "tests/crash/ledger.h"

#include <algorithm>
#include <utility>

namespace sluice {

bool IsAcknowledgement(v1::Receipt::Disposition disposition) {
  switch (disposition) {
    case v1::Receipt::STORED:
    case v1::Receipt::QUEUED:
    case v1::Receipt::DUPLICATE:
    case v1::Receipt::QUARANTINED:
      return true;
    default:
      return false;
  }
}

void Ledger::RecordSent(const LedgerKey& key, SubmissionKind kind,
                        const Sha256Digest& sha256) {
  absl::MutexLock lock(&mutex_);
  std::vector<SentContent>& sent = entries_[key].sent;
  const auto known = std::ranges::find_if(sent, [&](const SentContent& one) {
    return one.kind == kind && one.sha256 == sha256;
  });
  if (known != sent.end()) {
    ++known->times;
  } else {
    sent.push_back({.kind = kind, .sha256 = sha256, .times = 1});
  }
}

void Ledger::RecordTold(const LedgerKey& key, const Told& told) {
  absl::MutexLock lock(&mutex_);
  ++counts_[{told.method, told.disposition}];
  if (told.disposition == v1::Receipt::DISPOSITION_UNSPECIFIED ||
      told.disposition == v1::Receipt::REFUSED ||
      told.disposition == v1::Receipt::DROPPED) {
    return;
  }
  entries_[key].told.push_back(told);
  news_.insert(key);
  if (IsAcknowledgement(told.disposition)) ++acknowledged_;
}

bool Ledger::AwaitAcknowledged(std::int64_t count, absl::Time deadline) const {
  absl::MutexLock lock(&mutex_);
  const auto reached = [this, count]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return acknowledged_ >= count;
  };
  return mutex_.AwaitWithDeadline(absl::Condition(&reached), deadline);
}

std::int64_t Ledger::acknowledged() const {
  absl::MutexLock lock(&mutex_);
  return acknowledged_;
}

AnswerCounts Ledger::counts() const {
  absl::MutexLock lock(&mutex_);
  return counts_;
}

absl::flat_hash_set<LedgerKey> Ledger::TakeNews() {
  absl::MutexLock lock(&mutex_);
  return std::exchange(news_, {});
}

LedgerEntry Ledger::Find(const LedgerKey& key) const {
  absl::MutexLock lock(&mutex_);
  const auto found = entries_.find(key);
  return found == entries_.end() ? LedgerEntry() : found->second;
}

void Ledger::ForEach(
    absl::FunctionRef<void(const LedgerKey& key, const LedgerEntry& entry)>
        visit) const {
  absl::MutexLock lock(&mutex_);
  for (const auto& [key, entry] : entries_) visit(key, entry);
}

}  // namespace sluice
