#include "pool/service_rate.h"

#include <algorithm>
#include <chrono>
#include <cmath>

namespace sluice {
namespace {

// After this many batches, a batch is weighted by 1/e.
constexpr double kMemoryBatches = 64;
// A measurement of this age is weighted by 1/e.
constexpr Duration kMemory = std::chrono::seconds(10);

}  // namespace

void ServiceRate::Done(std::size_t count, Duration took, bool backlog,
                       TimePoint now) {
  constexpr double kKeptOfABatch = 1 - 1 / kMemoryBatches;
  // Kept depends on the average time of a batch. Compute both weights before
  // the average changes.
  const double kept = kKeptOfABatch * Kept(batch_measured_, now);
  const double kept_of_rate = Kept(rate_measured_, now);
  batches_ = batches_ * kept + 1;
  batch_seconds_ = batch_seconds_ * kept + ToSeconds(took);
  batch_measured_ = now;

  // Measure from completion to completion. The first completion with a backlog
  // shows no rate, because the backlog may have begun just before.
  if (backlog && backlog_) {
    with_backlog_.Fade(kept_of_rate);
    with_backlog_.Record(count, now);
    rate_measured_ = now;
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

double ServiceRate::per_second_at(TimePoint now) const {
  const double rate = per_second();
  // Lower limit of the divisor, so that the division does not overflow.
  constexpr double kKeptMin = 1e-100;
  return rate / std::max(Kept(rate_measured_, now), kKeptMin);
}

Duration ServiceRate::batch_at(TimePoint now) const {
  return std::chrono::duration_cast<Duration>(
      std::chrono::duration<double>(batch()) * Kept(batch_measured_, now));
}

double ServiceRate::Kept(TimePoint measured, TimePoint now) const {
  // Measurements begin to fade only after two batch times. With a slow store,
  // batches complete seldom, and the measurements must not fade between two
  // completions.
  const Duration age = now - measured - 2 * batch();
  if (age <= Duration::zero()) return 1;
  return std::exp(-ToSeconds(age) / ToSeconds(kMemory));
}

}  // namespace sluice
