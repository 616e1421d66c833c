// How much of a pool's work a method gets when others want it too.

#ifndef SLUICE_POLICIES_PRIORITY_H_
#define SLUICE_POLICIES_PRIORITY_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace sluice {

enum class Priority : std::uint8_t { kHigh, kNormal, kLow };
inline constexpr std::size_t kPriorities = 3;

// Of 21 tasks that are worked while all three have some queued, so many are of
// each: the lowest has its turn, too.
inline constexpr std::array<std::size_t, kPriorities> kPriorityWeights = {16, 4,
                                                                          1};

// As the configuration has them.
inline constexpr std::array<std::string_view, kPriorities> kPriorityNames = {
    "high", "normal", "low"};

constexpr std::size_t Index(Priority priority) {
  return static_cast<std::size_t>(priority);
}

}  // namespace sluice

#endif  // SLUICE_POLICIES_PRIORITY_H_
