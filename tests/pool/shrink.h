// Shrinks a failing input, so that the failure is easier to understand.

#ifndef SLUICE_TESTS_POOL_SHRINK_H_
#define SLUICE_TESTS_POOL_SHRINK_H_

#include <algorithm>
#include <cstddef>
#include <functional>
#include <utility>
#include <vector>

namespace sluice {

// Returns a subsequence of `items` that still fails. `items` must fail. With
// enough trials, no single item can be left out of the result.
//
// This is delta debugging (Zeller and Hildebrandt, "Simplifying and Isolating
// Failure-Inducing Input"): large pieces are left out first, then smaller
// pieces. `fails` is called at most `trials_max` times.
template <typename T>
std::vector<T> Shrink(std::vector<T> items,
                      const std::function<bool(const std::vector<T>&)>& fails,
                      std::size_t trials_max) {
  std::size_t trials = 0;
  std::size_t piece = (items.size() + 1) / 2;
  while (piece > 0) {
    bool left_out = false;
    for (std::size_t begin = 0; begin < items.size();) {
      if (trials++ == trials_max) return items;
      const std::size_t end = std::min(begin + piece, items.size());
      std::vector<T> rest(items.begin(),
                          items.begin() + static_cast<std::ptrdiff_t>(begin));
      rest.insert(rest.end(), items.begin() + static_cast<std::ptrdiff_t>(end),
                  items.end());
      if (fails(rest)) {
        items = std::move(rest);
        left_out = true;
      } else {
        begin = end;
      }
    }
    // Without an item, an earlier item may have become superfluous: try single
    // items again until none can be left out.
    if (!left_out || piece > 1) piece /= 2;
  }
  return items;
}

}  // namespace sluice

#endif  // SLUICE_TESTS_POOL_SHRINK_H_
