// A set of positions, most of them consecutive, kept as ranges.

#ifndef SLUICE_STORES_POSITION_SET_H_
#define SLUICE_STORES_POSITION_SET_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <vector>

namespace sluice {

struct PositionRange {
  std::int64_t first = 0;
  std::int64_t last = 0;  // inclusive

  bool operator==(const PositionRange&) const = default;
};

// Not thread-safe. Memory and time depend on the number of ranges, not on the
// number of positions.
class PositionSet {
 public:
  void Add(std::int64_t position);
  // Removes the positions of `range` that are in the set.
  void Remove(PositionRange range);

  // Returns the lowest `max` ranges, ascending and not adjacent.
  std::vector<PositionRange> First(std::size_t max) const;
  bool empty() const { return last_of_.empty(); }

 private:
  // Last position of each range, by its first position.
  std::map<std::int64_t, std::int64_t> last_of_;
};

}  // namespace sluice

#endif  // SLUICE_STORES_POSITION_SET_H_
