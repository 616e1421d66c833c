// A made-up result of a short run of a profile.

#ifndef SLUICE_TESTS_CHARTS_SAMPLE_LOAD_H_
#define SLUICE_TESTS_CHARTS_SAMPLE_LOAD_H_

#include <chrono>
#include <utility>

#include "loadgen/loadgen.h"

namespace sluice {

// Returns a run with three intervals of a second, each an hour of the profile,
// which begins at seven. In each interval 10 calls are in time. The profile's
// name contains characters that HTML must escape.
inline std::pair<LoadOptions, LoadResult> SampleLoad() {
  LoadOptions options;
  LoadProfile& profile = options.profile.emplace();
  profile.name = "a</script><b>'&.yaml";
  profile.start = absl::Hours(7);
  profile.compress = 3600;
  profile.duration = absl::Seconds(3);
  LoadResult result;
  result.interval_length = std::chrono::seconds(1);
  for (int i = 0; i < 3; ++i) {
    result.timeline.push_back({.offered = 12,
                               .in_time = 10,
                               .refused = i,
                               .p50 = std::chrono::milliseconds(2),
                               .p99 = std::chrono::milliseconds(20 + i)});
    result.counts.latency.Add(std::chrono::milliseconds(2));
  }
  return {std::move(options), std::move(result)};
}

// Adds scraped metrics to each interval.
inline void AddSamplePool(LoadResult* result) {
  for (LoadInterval& interval : result->timeline) {
    interval.pool =
        PoolSample{.workers = 5, .busy = 2, .depth = 7, .waiting = 1};
  }
}

}  // namespace sluice

#endif  // SLUICE_TESTS_CHARTS_SAMPLE_LOAD_H_
