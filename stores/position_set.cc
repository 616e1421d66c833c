#include "stores/position_set.h"

#include <algorithm>
#include <iterator>

#include "base/check.h"

namespace sluice {

void PositionSet::Add(std::int64_t position) {
  auto after = last_of_.upper_bound(position);
  PositionRange range{position, position};
  if (after != last_of_.begin()) {
    const auto before = std::prev(after);
    if (before->second >= position) return;
    if (before->second == position - 1) {
      range.first = before->first;
      last_of_.erase(before);
    }
  }
  if (after != last_of_.end() && after->first == position + 1) {
    range.last = after->second;
    after = last_of_.erase(after);
  }
  // Adjacent ranges are joined, so that the number of ranges stays small.
  SLUICE_DCHECK(after == last_of_.end() || after->first > range.last + 1);
  SLUICE_DCHECK(after == last_of_.begin() ||
                std::prev(after)->second < range.first - 1);
  last_of_.emplace_hint(after, range.first, range.last);
}

void PositionSet::Remove(PositionRange range) {
  SLUICE_DCHECK_LE(range.first, range.last);
  auto at = last_of_.upper_bound(range.first);
  if (at != last_of_.begin()) --at;
  while (at != last_of_.end() && at->first <= range.last) {
    const PositionRange there{at->first, at->second};
    if (there.last < range.first) {
      ++at;
      continue;
    }
    at = last_of_.erase(at);
    if (there.first < range.first) {
      last_of_.emplace_hint(at, there.first, range.first - 1);
    }
    if (there.last > range.last) {
      last_of_.emplace_hint(at, range.last + 1, there.last);
    }
  }
}

std::vector<PositionRange> PositionSet::First(std::size_t max) const {
  std::vector<PositionRange> ranges;
  for (const auto& [first, last] : last_of_) {
    if (ranges.size() == max) break;
    ranges.push_back({first, last});
  }
  return ranges;
}

}  // namespace sluice
