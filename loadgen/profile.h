// A load that follows a description of traffic (docs/simulation.md) in less
// time.

#ifndef SLUICE_LOADGEN_PROFILE_H_
#define SLUICE_LOADGEN_PROFILE_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "loadgen/traffic/traffic.h"

namespace sluice {

struct LoadProfile {
  std::string name;  // of the file that describes the traffic
  // Time of day at which the description begins, since midnight.
  absl::Duration start = absl::ZeroDuration();
  // Seconds of the description that are played in one second.
  double compress = 1;
  absl::Duration duration = absl::ZeroDuration();  // of the run
  std::uint64_t seed = 1;
  // Sources that call one method. Their curves and storms are on the run's
  // time, which begins at 0.
  std::vector<TrafficSource> sources;

  // Returns the highest rate of the sum of all curves, in calls a second.
  double peak() const;
};

// Returns the sources of `traffic` that call `method` (e.g. "Submit"), played
// within `duration`. Rates are multiplied by `scale` and do not depend on how
// far time is compressed, so that fewer calls come in all. A storm keeps its
// submissions per site but loses sites in proportion, down to one. Returns
// INVALID_ARGUMENT if no source calls the method.
absl::StatusOr<LoadProfile> CompressTraffic(const Traffic& traffic,
                                            std::string_view method,
                                            absl::Duration duration,
                                            double scale);

}  // namespace sluice

#endif  // SLUICE_LOADGEN_PROFILE_H_
