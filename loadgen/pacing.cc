#include "loadgen/pacing.h"

namespace sluice {

RateSchedule::RateSchedule(double rate, Arrivals arrivals, std::uint64_t seed,
                           LoadClock::time_point start)
    : ArrivalSchedule(start),
      rate_(rate),
      arrivals_(arrivals),
      start_(start),
      random_(seed) {}

void RateSchedule::Advance() {
  // Each time is computed from the start, so that rounding does not add up.
  sum_ += arrivals_ == Arrivals::kPoisson
              ? std::exponential_distribution<double>()(random_)
              : 1.0;
  next_ = start_ + std::chrono::duration_cast<LoadClock::duration>(
                       std::chrono::duration<double>(sum_ / rate_));
}

}  // namespace sluice
