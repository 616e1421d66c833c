// Monotonic time, on which deadlines, waits and rates run, and conversions from
// the durations of the configuration.

#ifndef SLUICE_BASE_TIME_H_
#define SLUICE_BASE_TIME_H_

#include <chrono>

#include "absl/time/time.h"

namespace sluice {

using Duration = std::chrono::steady_clock::duration;
using TimePoint = std::chrono::steady_clock::time_point;

// "No deadline".
inline constexpr TimePoint kForever = TimePoint::max();

constexpr double ToSeconds(Duration duration) {
  return std::chrono::duration<double>(duration).count();
}

// Rounds towards zero. A duration that is longer than a Duration can be is the
// longest one.
inline Duration ToMonotonic(absl::Duration duration) {
  return absl::ToChronoNanoseconds(duration);
}

// As channel arguments of gRPC take durations. `duration` must fit an int.
inline int ToMilliseconds(absl::Duration duration) {
  return static_cast<int>(absl::ToInt64Milliseconds(duration));
}

}  // namespace sluice

#endif  // SLUICE_BASE_TIME_H_
