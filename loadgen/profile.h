// A description of traffic (docs/simulation.md), as a load that plays it in
// less time.

#ifndef SLUICE_LOADGEN_PROFILE_H_
#define SLUICE_LOADGEN_PROFILE_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "loadgen/pacing.h"
#include "loadgen/traffic/arrival_stream.h"
#include "loadgen/traffic/traffic.h"

namespace sluice {

struct LoadProfile {
  std::string name;  // of its file
  // The clock's time at which the description begins, since midnight.
  absl::Duration start = absl::ZeroDuration();
  // So many seconds of the description are played in one.
  double compress = 1;
  absl::Duration duration = absl::ZeroDuration();  // of the run
  std::uint64_t seed = 1;
  // Those that call one method. Their curves and storms have the run's times.
  std::vector<TrafficSource> sources;

  // The highest rate of the curves' sum, calls a second.
  double peak() const;
};

// The sources of `traffic` that call the method of this name (e.g. "Submit"),
// played within `duration`. The rates are the description's times `scale`,
// however much time is compressed: so less comes in all. Of a storm, sites are
// left out for that, all but one at most. INVALID_ARGUMENT where no source
// calls the method.
absl::StatusOr<LoadProfile> CompressTraffic(const Traffic& traffic,
                                            std::string_view method,
                                            absl::Duration duration,
                                            double scale);

// The arrivals of a profile, of all its sources together.
class ProfileSchedule final : public ArrivalSchedule {
 public:
  // `profile` must outlive it.
  ProfileSchedule(const LoadProfile& profile, LoadClock::time_point start);

  // No two sites, and no two studies, have the same ids.
  LoadSender sender() const override;
  void Advance() override;

 private:
  void FindNext();

  const LoadProfile& profile_;
  const LoadClock::time_point start_;
  std::vector<ArrivalStream> streams_;
  std::size_t first_ = 0;  // whose the next arrival is
};

}  // namespace sluice

#endif  // SLUICE_LOADGEN_PROFILE_H_
