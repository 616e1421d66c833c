#include "loadgen/timeline.h"

#include <algorithm>

#include "loadgen/traffic/windows.h"

namespace sluice {
namespace {

bool IsRefusal(absl::StatusCode code) {
  return code == absl::StatusCode::kResourceExhausted ||
         code == absl::StatusCode::kUnavailable;
}

Timeline::Interval WithPercentiles(Timeline::Interval interval,
                                   const LatencyHistogram& latency) {
  interval.p50 = latency.Percentile(50);
  interval.p99 = latency.Percentile(99);
  return interval;
}

}  // namespace

LoadClock::duration Timeline::LengthFor(LoadClock::duration duration) {
  return std::max<LoadClock::duration>(std::chrono::seconds(1),
                                       Windows::For(duration).length);
}

Timeline::Timeline(LoadClock::time_point start, LoadClock::duration duration,
                   LoadClock::duration length, LoadClock::duration deadline)
    : start_(start),
      length_(length),
      deadline_(deadline),
      intervals_(static_cast<std::size_t>(
          (duration + length - LoadClock::duration(1)) / length)) {}

void Timeline::Offered(LoadClock::time_point intended_start) {
  const std::size_t index = IndexOf(intended_start);
  if (index < intervals_.size()) ++intervals_[index].offered;
}

void Timeline::Ended(const TimelineEnd& call) {
  const std::size_t index = IndexOf(call.end);
  if (index == intervals_.size()) return;
  Interval& interval = intervals_[index];
  const LoadClock::duration latency = call.end - call.intended_start;
  const bool ok = call.answered && call.code == absl::StatusCode::kOk;
  const bool expired =
      call.answered && call.code == absl::StatusCode::kDeadlineExceeded;
  if (ok && latency <= deadline_) {
    ++interval.in_time;
    if (index != latest_) {
      intervals_[latest_] = WithPercentiles(intervals_[latest_], latency_);
      latency_ = LatencyHistogram();
      latest_ = index;
    }
    latency_.Add(latency);
  } else if (ok || expired) {
    ++interval.late;
  } else if (call.answered && IsRefusal(call.code)) {
    ++interval.refused;
  } else {
    ++interval.failed;
  }
}

std::vector<Timeline::Interval> Timeline::intervals() const {
  std::vector<Interval> all = intervals_;
  if (!all.empty()) all[latest_] = WithPercentiles(all[latest_], latency_);
  return all;
}

std::size_t Timeline::IndexOf(LoadClock::time_point time) const {
  if (time < start_) return intervals_.size();
  return std::min(intervals_.size(),
                  static_cast<std::size_t>((time - start_) / length_));
}

}  // namespace sluice
