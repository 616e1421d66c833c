// Decides how much memory the process gives back to the operating system.
//
// The allocator keeps freed memory, because memory that is needed again costs
// less than new memory. Without a limit the process would keep the memory of
// its worst moment for ever: a few large requests need hundreds of megabytes.

#ifndef SLUICE_SERVER_IDLE_MEMORY_H_
#define SLUICE_SERVER_IDLE_MEMORY_H_

#include <cstddef>
#include <limits>

namespace sluice {

// Memory is idle if it was free at each look of a period, so a steady load
// loses nothing that it uses again. Not thread-safe.
class IdleMemory {
 public:
  // Number of looks in a period.
  static constexpr int kLooks = 10;
  // Idle memory that the process keeps for the next burst.
  static constexpr std::size_t kKeptBytes = std::size_t{32} << 20;

  // Must be called at regular intervals, with the number of free bytes that the
  // allocator keeps. Returns the number of bytes to give back now: at the end
  // of a period the idle memory above kKeptBytes, otherwise 0.
  std::size_t Look(std::size_t free_bytes);

 private:
  static constexpr std::size_t kNothingSeen =
      std::numeric_limits<std::size_t>::max();

  int looks_ = 0;  // in the present period
  std::size_t least_free_bytes_ = kNothingSeen;
};

}  // namespace sluice

#endif  // SLUICE_SERVER_IDLE_MEMORY_H_
