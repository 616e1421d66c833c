// A store in memory that a test can hold, fail, and look into.

#ifndef SLUICE_TESTS_FAKES_GATED_STORE_H_
#define SLUICE_TESTS_FAKES_GATED_STORE_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "stores/store.h"

namespace sluice {

// Outlives the server of the test, which gets a ForwardingStore to it.
class GatedStore final : public Store {
 public:
  // From now on each SaveBatch waits until Release. Held stores also wait when
  // the test ends, so release before the server is drained.
  void Hold();
  void Release();
  // The next SaveBatch calls fail with this until it is OK again.
  void FailWith(absl::Status status);
  // SaveBatch fails with this where the submission of that id is in the batch,
  // until it is OK again.
  void FailFor(std::string submission_id, absl::Status status);

  // Waits, at most kPatience, until `count` operations are in SaveBatch; a
  // failure of the test otherwise.
  void AwaitInFlight(std::size_t count);
  std::size_t peak_in_flight() const;
  // Sequences in the order of storing.
  std::vector<Submission> stored() const;
  // Sizes of the batches, in the order of their beginning.
  std::vector<std::size_t> batches() const;

  absl::Status SaveBatch(absl::Span<const Submission> batch,
                         absl::Span<Saved> saved) override;
  absl::StatusOr<std::vector<std::optional<StoredReceipt>>> FindReceipts(
      std::string_view study_id,
      absl::Span<const std::string> submission_ids) override;
  absl::StatusOr<std::int64_t> LastSequence() override { return 0; }
  absl::Status Check() override;

 private:
  using Key = std::pair<std::string, std::string>;

  Saved Save(const Submission& submission)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  mutable absl::Mutex mutex_;
  bool held_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Status failure_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, absl::Status> failures_by_id_ ABSL_GUARDED_BY(mutex_);
  std::size_t in_flight_ ABSL_GUARDED_BY(mutex_) = 0;
  std::size_t peak_in_flight_ ABSL_GUARDED_BY(mutex_) = 0;
  std::vector<std::size_t> batches_ ABSL_GUARDED_BY(mutex_);
  std::vector<Submission> stored_ ABSL_GUARDED_BY(mutex_);
  std::map<Key, std::size_t> by_id_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace sluice

#endif  // SLUICE_TESTS_FAKES_GATED_STORE_H_
