#include "server/idle_memory.h"

#include <cstddef>

#include "gtest/gtest.h"

namespace sluice {
namespace {

constexpr std::size_t kBurst = std::size_t{900} << 20;

// Returns the number of bytes that are given back during a period in which
// `free_bytes` are free.
std::size_t GivenBack(IdleMemory& memory, std::size_t free_bytes) {
  std::size_t sum = 0;
  for (int i = 0; i < IdleMemory::kLooks; ++i) sum += memory.Look(free_bytes);
  return sum;
}

TEST(IdleMemory, IsGivenBackAtTheEndOfAPeriod) {
  IdleMemory memory;
  for (int i = 1; i < IdleMemory::kLooks; ++i) {
    EXPECT_EQ(memory.Look(kBurst), 0u);
  }
  EXPECT_EQ(memory.Look(kBurst), kBurst - IdleMemory::kKeptBytes);
  EXPECT_EQ(GivenBack(memory, IdleMemory::kKeptBytes), 0u);
  EXPECT_EQ(GivenBack(memory, kBurst), kBurst - IdleMemory::kKeptBytes);
}

TEST(IdleMemory, OfASteadyLoadIsKept) {
  IdleMemory memory;
  // In each period the load once needs all but a few of the free bytes.
  for (int period = 0; period < 3; ++period) {
    for (int i = 0; i < IdleMemory::kLooks; ++i) {
      EXPECT_EQ(memory.Look(i == 4 ? IdleMemory::kKeptBytes + 7 : kBurst),
                i == IdleMemory::kLooks - 1 ? 7u : 0u);
    }
  }
}

}  // namespace
}  // namespace sluice
