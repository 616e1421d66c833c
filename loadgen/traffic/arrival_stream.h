// The moments at which a source's submissions come, drawn one at a time.

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

// A Poisson process by the source's curve, and its storms. Memory does not grow
// with the number of arrivals.
class ArrivalStream {
 public:
  // `source` must outlive it. The same seed gives the same moments.
  ArrivalStream(const TrafficSource& source, std::uint64_t seed);

  // When the next one comes; kForever after the last.
  TimePoint next() const { return next_; }
  // Which of the source's sites sends it, from 0.
  std::size_t site() const {
    return storm_ ? storms_[*storm_].sites_left : curve_site_;
  }
  // On to the one after it.
  void Advance();

 private:
  // A storm as far as it has come: the moments of its sites, in order.
  struct StormState {
    std::size_t sites_left = 0;  // after the present one; so it is numbered
    std::size_t submissions = 0;
    std::size_t submissions_left = 0;  // of the present site
    double at = 0;                     // when the present site sends, seconds
    double end = 0;
  };

  void NextOfCurve();
  void NextSite(StormState* storm);
  void FindNext();

  const TrafficSource& source_;
  SimRandom random_;
  SimRandom site_random_;  // the moments do not depend on who sends
  double expected_ = 0;    // arrivals of the curve up to the next
  double curve_next_ = 0;
  std::size_t curve_site_ = 0;
  std::vector<StormState> storms_;
  std::optional<std::size_t> storm_;  // whose the next one is; else the curve's
  TimePoint next_ = kForever;
};

}  // namespace sluice

#endif  // SLUICE_LOADGEN_TRAFFIC_ARRIVAL_STREAM_H_
