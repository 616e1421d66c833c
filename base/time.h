// Monotonic time for deadlines, waits and rates, and conversions from the
// durations of the configuration.

#ifndef SLUICE_BASE_TIME_H_
#define SLUICE_BASE_TIME_H_

#include <chrono>

#include "absl/time/time.h"

namespace sluice {

using Duration = std::chrono::steady_clock::duration;
using TimePoint = std::chrono::steady_clock::time_point;

// Means "no deadline".
inline constexpr TimePoint kForever = TimePoint::max();

constexpr double ToSeconds(Duration duration) {
  return std::chrono::duration<double>(duration).count();
}

// Converts a duration, rounding towards zero. A duration that does not fit
// becomes the longest Duration.
inline Duration ToMonotonic(absl::Duration duration) {
  return absl::ToChronoNanoseconds(duration);
}

}  // namespace sluice

#endif  // SLUICE_BASE_TIME_H_
