#include "loadgen/internal/arrival_schedule.h"

#include <algorithm>
#include <chrono>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "config/method.h"

namespace sluice {

RateSchedule::RateSchedule(double rate, Arrivals arrivals, std::uint64_t seed,
                           TimePoint start)
    : ArrivalSchedule(start),
      rate_(rate),
      arrivals_(arrivals),
      start_(start),
      random_(seed) {
  SLUICE_DCHECK(rate > 0);
}

void RateSchedule::Advance() {
  // Each time is computed from the start, so that rounding does not add up.
  sum_ += arrivals_ == Arrivals::kPoisson
              ? std::exponential_distribution<double>()(random_)
              : 1.0;
  next_ = start_ + std::chrono::duration_cast<Duration>(
                       std::chrono::duration<double>(sum_ / rate_));
}

ProfileSchedule::ProfileSchedule(const LoadProfile& profile, TimePoint start)
    : ArrivalSchedule(start), profile_(profile), start_(start) {
  SLUICE_DCHECK(!profile.sources.empty());
  streams_.reserve(profile.sources.size());
  for (const TrafficSource& source : profile.sources) {
    // Each source has its own seed, so that a change of one source does not
    // affect the arrivals of other sources.
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
  SLUICE_DCHECK(next_ != kForever);
  streams_[first_].Advance();
  FindNext();
}

void ProfileSchedule::FindNext() {
  const auto first =
      std::ranges::min_element(streams_, {}, &ArrivalStream::next);
  first_ = static_cast<std::size_t>(first - streams_.begin());
  next_ = first->next() == kForever ? kForever
                                    : start_ + first->next().time_since_epoch();
}

}  // namespace sluice
