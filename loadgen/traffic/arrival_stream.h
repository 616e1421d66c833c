// Generates the arrival times of a source's submissions one at a time.

#ifndef SLUICE_LOADGEN_TRAFFIC_ARRIVAL_STREAM_H_
#define SLUICE_LOADGEN_TRAFFIC_ARRIVAL_STREAM_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/time.h"
#include "loadgen/traffic/random.h"
#include "loadgen/traffic/traffic.h"

namespace sluice {

// Arrivals of a Poisson process with the rate of the source's curve, and of the
// source's storms. Memory does not grow with the number of arrivals.
class ArrivalStream {
 public:
  // `source` must outlive this object. The same seed gives the same arrivals.
  ArrivalStream(const TrafficSource& source, std::uint64_t seed);

  // Returns the time of the next arrival; kForever after the last.
  TimePoint next() const { return next_; }
  // Returns the site that sends the next arrival; sites count from 0.
  std::size_t site() const {
    return storm_ ? storms_[*storm_].sites_left : curve_site_;
  }
  // Moves on to the following arrival. next() must not be kForever.
  void Advance();

 private:
  // The progress of a storm, site by site in the order of their times.
  struct StormState {
    // Number of sites that are left after the current site. It is also the
    // number of the current site.
    std::size_t sites_left = 0;
    std::size_t submissions = 0;
    std::size_t submissions_left = 0;  // for the current site
    double at = 0;                     // time of the current site, in seconds
    double end = 0;
  };

  void NextOfCurve();
  void NextSite(StormState* storm);
  void FindNext();

  const TrafficSource& source_;
  SimRandom random_;
  SimRandom site_random_;  // separate, so that times do not depend on sites
  // Number of arrivals that the curve expects up to the next one.
  double expected_ = 0;
  double curve_next_ = 0;
  std::size_t curve_site_ = 0;
  std::vector<StormState> storms_;
  std::optional<std::size_t>
      storm_;  // index of the storm of the next arrival; empty: none
  TimePoint next_ = kForever;
};

}  // namespace sluice

#endif  // SLUICE_LOADGEN_TRAFFIC_ARRIVAL_STREAM_H_
