// Conversions for the virtual time of a simulation, which starts at 0 and has
// the Gate's type.

#ifndef SLUICE_LOADGEN_TRAFFIC_VIRTUAL_TIME_H_
#define SLUICE_LOADGEN_TRAFFIC_VIRTUAL_TIME_H_

#include <chrono>
#include <cmath>
#include <cstdint>

#include "base/time.h"

namespace sluice {

inline double ToSeconds(TimePoint time) {
  return ToSeconds(time.time_since_epoch());
}

inline TimePoint AtSeconds(double seconds) {
  return TimePoint(Duration(std::llround(seconds * 1e9)));
}

}  // namespace sluice

#endif  // SLUICE_LOADGEN_TRAFFIC_VIRTUAL_TIME_H_
