// Priority classes: the share of a pool's work that each method gets when
// methods compete.

#ifndef SLUICE_POLICIES_PRIORITY_H_
#define SLUICE_POLICIES_PRIORITY_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace sluice {

enum class Priority : std::uint8_t { kHigh, kNormal, kLow };
inline constexpr std::size_t kPriorities = 3;

// While all three classes have queued tasks, each class gets this many of 21
// tasks. The lowest class is never starved.
inline constexpr std::array<std::size_t, kPriorities> kPriorityWeights = {16, 4,
                                                                          1};

// Names in the configuration.
inline constexpr std::array<std::string_view, kPriorities> kPriorityNames = {
    "high", "normal", "low"};

constexpr std::size_t Index(Priority priority) {
  return static_cast<std::size_t>(priority);
}

}  // namespace sluice

#endif  // SLUICE_POLICIES_PRIORITY_H_
