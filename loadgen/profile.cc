#include "loadgen/profile.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "config/method.h"

namespace sluice {
namespace {

RateCurve Compressed(const RateCurve& curve, double compress, double scale) {
  std::vector<RateCurve::Point> points = curve.points();
  for (RateCurve::Point& point : points) {
    point.seconds /= compress;
    point.rate *= scale;
  }
  return RateCurve(std::move(points));
}

TrafficSource Compressed(TrafficSource source, double compress, double scale) {
  source.curve = Compressed(source.curve, compress, scale);
  for (Storm& storm : source.storms) {
    storm.at /= compress;
    storm.within /= compress;
  }
  if (!source.storms.empty()) {
    const double sites = static_cast<double>(source.sites) * scale / compress;
    source.sites =
        std::max<std::size_t>(1, static_cast<std::size_t>(std::llround(sites)));
    source.studies = std::min(source.studies, source.sites);
  }
  return source;
}

}  // namespace

double LoadProfile::peak() const {
  RateCurve sum;
  for (const TrafficSource& source : sources) sum = sum + source.curve;
  double peak = 0;
  for (const RateCurve::Point& point : sum.points()) {
    peak = std::max(peak, point.rate);
  }
  return peak;
}

absl::StatusOr<LoadProfile> CompressTraffic(const Traffic& traffic,
                                            std::string_view method,
                                            absl::Duration duration,
                                            double scale) {
  LoadProfile profile;
  profile.start = traffic.start;
  profile.compress = absl::FDivDuration(traffic.duration, duration);
  profile.duration = duration;
  profile.seed = traffic.seed;
  for (const TrafficSource& source : traffic.sources) {
    if (MethodName(source.method) != method) continue;
    profile.sources.push_back(Compressed(source, profile.compress, scale));
  }
  if (profile.sources.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "no source of the profile calls ",
        absl::string_view(method.data(), method.size()), ": see --method"));
  }
  return profile;
}

}  // namespace sluice
