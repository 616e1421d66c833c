// A store for trials and tests: it keeps nothing, and is as slow and as faulty
// as it is told to be.

#ifndef SLUICE_STORES_DISCARD_STORE_H_
#define SLUICE_STORES_DISCARD_STORE_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "stores/store.h"
#include "stores/store_kind.h"

namespace sluice {

// How the time that operations take is distributed around its mean.
enum class Jitter {
  kConstant,
  kExponential,
  // Shape 1.5, at most 100 times the mean: many fast ones, a few very slow.
  kPareto,
};

// As the configuration names them: "constant", "exponential", "pareto".
std::optional<Jitter> ParseJitter(std::string_view name);

// The inverse of the distribution function: the time at `uniform`, in [0, 1).
absl::Duration Jittered(absl::Duration mean, Jitter jitter, double uniform);

struct DiscardStoreOptions {
  // The mean time that an operation, a SaveBatch, takes.
  absl::Duration delay = absl::ZeroDuration();
  Jitter jitter = Jitter::kConstant;
  // The share of operations, from 0 to 1, that fails with UNAVAILABLE after
  // its time.
  double fail_rate = 0;

  // For tests; called from all threads. Uniform in [0, 1), drawn for the time
  // and then for the failure; by default random.
  std::function<double()> uniform = nullptr;
  // By default the calling thread sleeps.
  std::function<void(absl::Duration)> sleep = nullptr;
};

class DiscardStore final : public Store {
 public:
  explicit DiscardStore(DiscardStoreOptions options);

  // Says that all is stored.
  absl::Status SaveBatch(absl::Span<const Submission> batch,
                         absl::Span<Saved> saved) override;
  // Finds nothing, at once.
  absl::StatusOr<std::vector<std::optional<StoredReceipt>>> FindReceipts(
      std::string_view study_id,
      absl::Span<const std::string> submission_ids) override;
  absl::StatusOr<std::int64_t> LastSequence() override;
  // An empty page, the last.
  absl::StatusOr<StorePage> Read(std::int64_t after, std::size_t max,
                                 std::size_t max_bytes) override;
  bool keeps_columns() const override { return false; }
  absl::Status Check() override;

  // Operations begun and not ended, now and at most so far.
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

// `kind: discard` of the configuration.
StoreKind DiscardStoreKind();

}  // namespace sluice

#endif  // SLUICE_STORES_DISCARD_STORE_H_
