// Bounds of a pool's queue, waiting room and batches.

#ifndef SLUICE_POOL_GATE_LIMITS_H_
#define SLUICE_POOL_GATE_LIMITS_H_

#include <cstddef>

namespace sluice {

struct GateLimits {
  std::size_t capacity = 4096;
  std::size_t capacity_bytes = std::size_t{256} << 20;
  std::size_t waiting_max = 10000;
  std::size_t waiting_max_bytes = std::size_t{256} << 20;
  // True: each lane gets its share of the limits and of the work. False: all
  // tasks are in one lane, and Task::lane and Task::priority have no effect.
  bool by_lane = false;
};

// Bounds of the tasks that a worker takes at once.
struct BatchLimits {
  std::size_t tasks = 256;  // at least 1
  // Bytes of all tasks together. A task that alone has more is taken alone.
  std::size_t bytes = std::size_t{16} << 20;
};

}  // namespace sluice

#endif  // SLUICE_POOL_GATE_LIMITS_H_
