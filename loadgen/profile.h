// A load that replays a description of traffic (docs/simulation.md) in less
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
  std::string name;  // name of the file that describes the traffic
  // Time of day at which the description begins, counted from midnight.
  absl::Duration start = absl::ZeroDuration();
  // Seconds of the description that are replayed in one second.
  double compress = 1;
  absl::Duration duration = absl::ZeroDuration();  // duration of the run
  std::uint64_t seed = 1;
  // Sources that call one method. The times of their curves and storms count
  // from the start of the run.
  std::vector<TrafficSource> sources;

  // Returns the highest rate of the sum of all curves, in calls per second.
  double peak() const;
};

// Returns the sources of `traffic` that call `method` (e.g. "Submit"),
// compressed into `duration`. Rates are only multiplied by `scale`; since they
// do not rise with the compression, fewer calls are made in total. A storm
// keeps its submissions per site, but its number of sites is reduced in
// proportion, to at least one. Returns INVALID_ARGUMENT if no source calls the
// method.
absl::StatusOr<LoadProfile> CompressTraffic(const Traffic& traffic,
                                            std::string_view method,
                                            absl::Duration duration,
                                            double scale);

}  // namespace sluice

#endif  // SLUICE_LOADGEN_PROFILE_H_
