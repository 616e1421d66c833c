// A short run of a profile, made up.

#ifndef SLUICE_TESTS_CHARTS_SAMPLE_LOAD_H_
#define SLUICE_TESTS_CHARTS_SAMPLE_LOAD_H_

#include <chrono>
#include <utility>

#include "loadgen/loadgen.h"

namespace sluice {

// Three intervals of a second, each an hour of the profile, which begins at
// seven. 10 calls are in time in each. The name is hostile.
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
