// `kind: discard`: a store for experiments that keeps nothing, with delays and
// failures on demand. The store is in stores/discard_store.h.

#ifndef SLUICE_STORES_KINDS_DISCARD_KIND_H_
#define SLUICE_STORES_KINDS_DISCARD_KIND_H_

#include <functional>
#include <optional>
#include <string_view>

#include "absl/time/time.h"
#include "stores/kinds/store_kind.h"

namespace sluice {

// Distribution of the time that operations take, around its mean.
enum class Jitter {
  kConstant,
  kExponential,
  // Shape 1.5, at most 100 times the mean: most operations are fast, a few are
  // very slow.
  kPareto,
};

// The names that the configuration uses: "constant", "exponential", "pareto".
std::optional<Jitter> ParseJitter(std::string_view name);

// Returns the value of the distribution at `uniform`, in [0, 1): the inverse of
// its distribution function.
absl::Duration Jittered(absl::Duration mean, Jitter jitter, double uniform);

struct DiscardStoreOptions {
  // Mean time of a SaveBatch.
  absl::Duration delay = absl::ZeroDuration();
  Jitter jitter = Jitter::kConstant;
  // Share of SaveBatch calls, from 0 to 1, that fail with UNAVAILABLE after
  // their delay.
  double fail_rate = 0;

  // Source of random numbers in [0, 1), replaceable for tests; called from all
  // threads, first for the delay and then for the failure.
  std::function<double()> uniform = nullptr;
  // Waits for the given time. By default the calling thread sleeps.
  std::function<void(absl::Duration)> sleep = nullptr;
};

DiscardStoreOptions ReadDiscardOptions(StoreOptionReader& reader);
StoreKind DiscardStoreKind();

}  // namespace sluice

#endif  // SLUICE_STORES_KINDS_DISCARD_KIND_H_
