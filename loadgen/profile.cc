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

ProfileSchedule::ProfileSchedule(const LoadProfile& profile,
                                 LoadClock::time_point start)
    : ArrivalSchedule(start), profile_(profile), start_(start) {
  streams_.reserve(profile.sources.size());
  for (const TrafficSource& source : profile.sources) {
    // Each has a seed of its own: what one draws changes nothing for another.
    streams_.emplace_back(
        source, profile.seed + 0x9E3779B97F4A7C15U * (streams_.size() + 1));
  }
  FindNext();
}

LoadSender ProfileSchedule::sender() const {
  const TrafficSource& source = profile_.sources[first_];
  const std::size_t site = streams_[first_].site();
  const std::string name =
      absl::StrCat(std::string(MethodName(source.method)), "-", first_ + 1);
  return {.study = absl::StrCat(name, "-study-", source.StudyOf(site) + 1),
          .site = absl::StrCat(name, "-site-", site + 1)};
}

void ProfileSchedule::Advance() {
  streams_[first_].Advance();
  FindNext();
}

void ProfileSchedule::FindNext() {
  const auto first =
      std::ranges::min_element(streams_, {}, &ArrivalStream::next);
  first_ = static_cast<std::size_t>(first - streams_.begin());
  next_ = first->next() == kForever ? LoadClock::time_point::max()
                                    : start_ + first->next().time_since_epoch();
}

}  // namespace sluice
