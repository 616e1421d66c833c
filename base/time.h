// The monotonic time that deadlines, waits and rates run on.

#ifndef SLUICE_BASE_TIME_H_
#define SLUICE_BASE_TIME_H_

#include <chrono>

namespace sluice {

using Duration = std::chrono::steady_clock::duration;
using TimePoint = std::chrono::steady_clock::time_point;

// "No deadline".
inline constexpr TimePoint kForever = TimePoint::max();

constexpr double ToSeconds(Duration duration) {
  return std::chrono::duration<double>(duration).count();
}

}  // namespace sluice

#endif  // SLUICE_BASE_TIME_H_
