#include "server/idle_memory.h"

#include <algorithm>

namespace sluice {

std::size_t IdleMemory::Look(std::size_t free_bytes) {
  least_free_bytes_ = std::min(least_free_bytes_, free_bytes);
  if (++looks_ < kLooks) return 0;
  const std::size_t idle_bytes = least_free_bytes_;
  looks_ = 0;
  least_free_bytes_ = kNothingSeen;
  return idle_bytes > kKeptBytes ? idle_bytes - kKeptBytes : 0;
}

}  // namespace sluice
