#include "tests/fakes/gated_store.h"

#include "base/sequence_series.h"
#include "gtest/gtest.h"
#include "tests/fakes/patience.h"

namespace sluice {

void GatedStore::Hold() {
  absl::MutexLock lock(&mutex_);
  held_ = true;
}

void GatedStore::Release() {
  absl::MutexLock lock(&mutex_);
  held_ = false;
}

void GatedStore::HoldRecording() {
  absl::MutexLock lock(&mutex_);
  recording_held_ = true;
}

void GatedStore::ReleaseRecording() {
  absl::MutexLock lock(&mutex_);
  recording_held_ = false;
}

void GatedStore::RecordAssigned(std::int64_t sequence) {
  absl::MutexLock lock(&mutex_);
  const auto open = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return !recording_held_;
  };
  mutex_.Await(absl::Condition(&open));
  assigned_ = sequence;
}

void GatedStore::FailWith(absl::Status status) {
  absl::MutexLock lock(&mutex_);
  failure_ = std::move(status);
}

void GatedStore::FailFor(std::string submission_id, absl::Status status) {
  absl::MutexLock lock(&mutex_);
  failures_by_id_[std::move(submission_id)] = std::move(status);
}

void GatedStore::AwaitInFlight(std::size_t count) {
  absl::MutexLock lock(&mutex_);
  const auto reached = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return in_flight_ == count;
  };
  EXPECT_TRUE(mutex_.AwaitWithTimeout(absl::Condition(&reached), kPatience))
      << in_flight_ << " operations are in the store, not " << count;
}

std::size_t GatedStore::peak_in_flight() const {
  absl::MutexLock lock(&mutex_);
  return peak_in_flight_;
}

std::vector<Submission> GatedStore::stored() const {
  absl::MutexLock lock(&mutex_);
  return stored_;
}

std::vector<std::size_t> GatedStore::batches() const {
  absl::MutexLock lock(&mutex_);
  return batches_;
}

absl::Status GatedStore::SaveBatch(absl::Span<const Submission> batch,
                                   absl::Span<Saved> saved) {
  absl::MutexLock lock(&mutex_);
  batches_.push_back(batch.size());
  ++in_flight_;
  peak_in_flight_ = std::max(peak_in_flight_, in_flight_);
  const auto open = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return !held_;
  };
  mutex_.Await(absl::Condition(&open));
  --in_flight_;
  if (!failure_.ok()) return failure_;
  for (const Submission& submission : batch) {
    const auto failure = failures_by_id_.find(submission.submission_id);
    if (failure != failures_by_id_.end() && !failure->second.ok()) {
      return failure->second;
    }
  }
  for (std::size_t i = 0; i < batch.size(); ++i) saved[i] = Save(batch[i]);
  return absl::OkStatus();
}

void GatedStore::OnNextLookup(std::function<void()> hook) {
  absl::MutexLock lock(&mutex_);
  lookup_hook_ = std::move(hook);
}

void GatedStore::FailLookups(absl::Status status) {
  absl::MutexLock lock(&mutex_);
  lookup_failure_ = std::move(status);
}

void GatedStore::KeepConflicts() {
  absl::MutexLock lock(&mutex_);
  keeps_conflicts_ = true;
}

void GatedStore::TakeSequence(std::int64_t sequence) {
  absl::MutexLock lock(&mutex_);
  taken_.insert(sequence);
}

void GatedStore::UseRegistry(ServerRegistry* registry) {
  absl::MutexLock lock(&mutex_);
  registry_ = registry;
}

ServerRegistry* GatedStore::registry() {
  absl::MutexLock lock(&mutex_);
  return registry_;
}

absl::StatusOr<std::int64_t> GatedStore::LastSequence() {
  absl::MutexLock lock(&mutex_);
  return registry_ == nullptr ? 0 : BeginOfSeries(registry_->server());
}

Saved GatedStore::Save(const Submission& submission) {
  const Key key(submission.study_id, submission.submission_id);
  if (!by_id_.contains(key) && taken_.contains(submission.sequence)) {
    Saved taken;
    taken.result = Saved::Result::kSequenceTaken;
    return taken;
  }
  const auto [entry, is_new] = by_id_.emplace(key, stored_.size());
  if (is_new) stored_.push_back(submission);
  const Submission& first = stored_[entry->second];
  Saved saved = {.result = Saved::Result::kStored,
                 .sequence = first.sequence,
                 .received_at = first.received_at,
                 .content_sha256 = first.content_sha256};
  if (!is_new) {
    saved.result = first.content == submission.content
                       ? Saved::Result::kDuplicate
                       : Saved::Result::kConflict;
    if (saved.result == Saved::Result::kDuplicate) {
      others_[first.sequence].push_back(submission.sequence);
    }
    saved.conflict_kept =
        saved.result == Saved::Result::kConflict && keeps_conflicts_;
  }
  return saved;
}

absl::StatusOr<std::vector<std::optional<StoredReceipt>>>
GatedStore::FindReceipts(std::string_view study_id,
                         absl::Span<const std::string> submission_ids) {
  std::function<void()> hook;
  {
    absl::MutexLock lock(&mutex_);
    hook = std::exchange(lookup_hook_, nullptr);
  }
  if (hook) hook();
  absl::MutexLock lock(&mutex_);
  if (!lookup_failure_.ok()) return lookup_failure_;
  std::vector<std::optional<StoredReceipt>> receipts;
  for (const std::string& id : submission_ids) {
    const auto found = by_id_.find(Key(study_id, id));
    if (found == by_id_.end()) {
      receipts.emplace_back();
      continue;
    }
    const Submission& submission = stored_[found->second];
    receipts.push_back(StoredReceipt{submission.sequence,
                                     submission.received_at,
                                     submission.content_sha256});
  }
  return receipts;
}

absl::StatusOr<std::vector<std::vector<std::int64_t>>>
GatedStore::FindOtherSequences(absl::Span<const std::int64_t> sequences) {
  absl::MutexLock lock(&mutex_);
  ++other_lookups_;
  std::vector<std::vector<std::int64_t>> others;
  for (const std::int64_t sequence : sequences) {
    const auto found = others_.find(sequence);
    others.push_back(found == others_.end() ? std::vector<std::int64_t>()
                                            : found->second);
  }
  return others;
}

std::size_t GatedStore::other_lookups() const {
  absl::MutexLock lock(&mutex_);
  return other_lookups_;
}

absl::Status GatedStore::Check() {
  absl::MutexLock lock(&mutex_);
  return failure_;
}

}  // namespace sluice
