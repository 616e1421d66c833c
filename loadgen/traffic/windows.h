// Intervals of equal length for the report of a run.

#ifndef SLUICE_LOADGEN_TRAFFIC_WINDOWS_H_
#define SLUICE_LOADGEN_TRAFFIC_WINDOWS_H_

#include <cstddef>

#include "base/time.h"

namespace sluice {

struct Windows {
  Duration length{};
  std::size_t count = 0;

  // Returns at most 300 intervals of a round length that cover `run`. The last
  // interval may end after the run.
  static Windows For(Duration run);
};

}  // namespace sluice

#endif  // SLUICE_LOADGEN_TRAFFIC_WINDOWS_H_
