// The intervals of equal length that a run is cut into for its report.

#ifndef SLUICE_LOADGEN_TRAFFIC_WINDOWS_H_
#define SLUICE_LOADGEN_TRAFFIC_WINDOWS_H_

#include <cstddef>

#include "base/time.h"

namespace sluice {

struct Windows {
  Duration length{};
  std::size_t count = 0;

  // At most 300 of a round length, of which the last may go beyond the run.
  static Windows For(Duration run);
};

}  // namespace sluice

#endif  // SLUICE_LOADGEN_TRAFFIC_WINDOWS_H_
