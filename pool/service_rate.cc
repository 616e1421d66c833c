#include "pool/service_rate.h"

#include <chrono>

namespace sluice {
namespace {

// After this many batches, a batch is weighted by 1/e.
constexpr double kMemoryBatches = 64;

}  // namespace

void ServiceRate::Done(std::size_t count, Duration took, bool backlog,
                       TimePoint now) {
  constexpr double kKept = 1 - 1 / kMemoryBatches;
  batches_ = batches_ * kKept + 1;
  batch_seconds_ = batch_seconds_ * kKept + ToSeconds(took);

  // Measure from completion to completion. The first completion with a backlog
  // shows no rate, because the backlog may have begun just before.
  if (backlog && backlog_) {
    with_backlog_.Record(count, now);
  } else if (backlog) {
    with_backlog_.Begin(now);
  }
  backlog_ = backlog;
}

Duration ServiceRate::batch() const {
  if (batches_ <= 0) return Duration::zero();
  return std::chrono::duration_cast<Duration>(
      std::chrono::duration<double>(batch_seconds_ / batches_));
}

}  // namespace sluice
