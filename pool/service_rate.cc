#include "pool/service_rate.h"

#include <chrono>
#include <cmath>

namespace sluice {
namespace {

using Seconds = std::chrono::duration<double>;

// Backlogged time this long ago counts 1/e of what it did.
constexpr double kMemorySeconds = 1;
// Of so many batches each counts.
constexpr double kMemoryBatches = 64;

}  // namespace

void ServiceRate::Done(std::size_t count, Duration took, bool backlog,
                       TimePoint now) {
  constexpr double kKept = 1 - 1 / kMemoryBatches;
  batches_ = batches_ * kKept + 1;
  batch_seconds_ = batch_seconds_ * kKept + Seconds(took).count();

  // A backlog is measured from one completion to another: the one before which
  // it began may have been due at once.
  if (backlog && backlog_) {
    const double elapsed = Seconds(now - since_).count();
    const double kept = std::exp(-elapsed / kMemorySeconds);
    tasks_ = tasks_ * kept + static_cast<double>(count);
    seconds_ = seconds_ * kept + elapsed;
  }
  backlog_ = backlog;
  since_ = now;
}

Duration ServiceRate::batch() const {
  if (batches_ <= 0) return Duration::zero();
  return std::chrono::duration_cast<Duration>(
      Seconds(batch_seconds_ / batches_));
}

}  // namespace sluice
