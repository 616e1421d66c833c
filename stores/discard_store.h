// A store for experiments and tests that keeps nothing. Its delays and failures
// are configured.

#ifndef SLUICE_STORES_DISCARD_STORE_H_
#define SLUICE_STORES_DISCARD_STORE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "stores/kinds/discard_kind.h"
#include "stores/store.h"

namespace sluice {

class DiscardStore final : public Store {
 public:
  explicit DiscardStore(DiscardStoreOptions options);

  // Reports every submission as stored.
  absl::Status SaveBatch(absl::Span<const Submission> batch,
                         absl::Span<Saved> saved) override;
  // Finds nothing, at once.
  absl::StatusOr<std::vector<std::optional<StoredReceipt>>> FindReceipts(
      std::string_view study_id,
      absl::Span<const std::string> submission_ids) override;
  absl::StatusOr<std::int64_t> LastSequence() override;
  // Returns an empty page with `last` set.
  absl::StatusOr<StorePage> Read(std::int64_t after, std::size_t max,
                                 std::size_t max_bytes) override;
  bool keeps_columns() const override { return false; }
  absl::Status Check() override;

  // Number of SaveBatch calls in progress, now and at the peak so far.
  int in_flight() const;
  int peak_in_flight() const;

 private:
  void Begin();
  void End();

  // Constant after construction.
  const DiscardStoreOptions options_;

  mutable absl::Mutex mutex_;
  int in_flight_ ABSL_GUARDED_BY(mutex_) = 0;
  int peak_in_flight_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace sluice

#endif  // SLUICE_STORES_DISCARD_STORE_H_
