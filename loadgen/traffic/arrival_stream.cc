#include "loadgen/traffic/arrival_stream.h"

#include <cmath>
#include <limits>

#include "absl/time/time.h"
#include "loadgen/traffic/virtual_time.h"

namespace sluice {

ArrivalStream::ArrivalStream(const TrafficSource& source, std::uint64_t seed)
    : source_(source), random_(seed), site_random_(~seed) {
  for (const Storm& storm : source.storms) {
    if (source.sites == 0 || storm.submissions == 0) continue;
    const double at = absl::ToDoubleSeconds(storm.at);
    storms_.push_back({.sites_left = source.sites,
                       .submissions = storm.submissions,
                       .at = at,
                       .end = at + absl::ToDoubleSeconds(storm.within)});
    NextSite(&storms_.back());
  }
  NextOfCurve();
  FindNext();
}

void ArrivalStream::Advance() {
  if (!storm_) {
    NextOfCurve();
  } else if (--storms_[*storm_].submissions_left == 0) {
    NextSite(&storms_[*storm_]);
  }
  FindNext();
}

void ArrivalStream::NextOfCurve() {
  expected_ += random_.Exponential();
  curve_next_ = source_.curve.TimeOf(expected_);
  if (source_.sites <= 1) return;
  curve_site_ = static_cast<std::size_t>(site_random_.Uniform() *
                                         static_cast<double>(source_.sites));
}

// The times of the remaining sites are uniformly distributed over the remaining
// time of the storm. Drawing the minimum of n such times directly gives the
// times in order.
void ArrivalStream::NextSite(StormState* storm) {
  if (storm->sites_left == 0) {
    storm->at = std::numeric_limits<double>::infinity();
    return;
  }
  const double least =
      1 - std::pow(1 - random_.Uniform(),
                   1.0 / static_cast<double>(storm->sites_left));
  storm->at += (storm->end - storm->at) * least;
  storm->submissions_left = storm->submissions;
  --storm->sites_left;
}

void ArrivalStream::FindNext() {
  double seconds = curve_next_;
  storm_.reset();
  for (std::size_t i = 0; i < storms_.size(); ++i) {
    if (storms_[i].at < seconds) {
      seconds = storms_[i].at;
      storm_ = i;
    }
  }
  next_ = std::isinf(seconds) ? kForever : AtSeconds(seconds);
}

}  // namespace sluice
