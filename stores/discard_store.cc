#include "stores/discard_store.h"

#include <algorithm>
#include <cstddef>
#include <utility>

#include "absl/random/random.h"
#include "absl/status/status.h"
#include "base/check.h"

namespace sluice {
namespace {

double RandomUniform() {
  thread_local absl::BitGen generator;
  return absl::Uniform<double>(generator, 0.0, 1.0);
}

DiscardStoreOptions WithDefaults(DiscardStoreOptions options) {
  if (!options.uniform) options.uniform = RandomUniform;
  if (!options.sleep) options.sleep = absl::SleepFor;
  return options;
}

}  // namespace

DiscardStore::DiscardStore(DiscardStoreOptions options)
    : options_(WithDefaults(std::move(options))) {}

absl::Status DiscardStore::SaveBatch(absl::Span<const Submission> batch,
                                     absl::Span<Saved> saved) {
  SLUICE_DCHECK_EQ(saved.size(), batch.size());
  Begin();
  options_.sleep(Jittered(options_.delay, options_.jitter, options_.uniform()));
  const bool fails = options_.uniform() < options_.fail_rate;
  End();
  if (fails) return absl::UnavailableError("failed as configured (fail_rate)");
  std::ranges::transform(batch, saved.begin(), [](const Submission& s) {
    return Saved{.result = Saved::Result::kStored,
                 .sequence = s.sequence,
                 .received_at = s.received_at,
                 .content_sha256 = s.content_sha256};
  });
  return absl::OkStatus();
}

absl::StatusOr<std::vector<std::optional<StoredReceipt>>>
DiscardStore::FindReceipts(std::string_view,
                           absl::Span<const std::string> submission_ids) {
  return std::vector<std::optional<StoredReceipt>>(submission_ids.size());
}

absl::StatusOr<std::int64_t> DiscardStore::LastSequence() { return 0; }

absl::StatusOr<StorePage> DiscardStore::Read(std::int64_t /*after*/,
                                             std::size_t /*max*/,
                                             std::size_t /*max_bytes*/) {
  StorePage page;
  page.last = true;
  return page;
}

absl::Status DiscardStore::Check() { return absl::OkStatus(); }

int DiscardStore::in_flight() const {
  absl::MutexLock lock(&mutex_);
  return in_flight_;
}

int DiscardStore::peak_in_flight() const {
  absl::MutexLock lock(&mutex_);
  return peak_in_flight_;
}

void DiscardStore::Begin() {
  absl::MutexLock lock(&mutex_);
  peak_in_flight_ = std::max(peak_in_flight_, ++in_flight_);
}

void DiscardStore::End() {
  absl::MutexLock lock(&mutex_);
  SLUICE_DCHECK_GT(in_flight_, 0);
  --in_flight_;
}

}  // namespace sluice
