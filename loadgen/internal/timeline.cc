#include "loadgen/internal/timeline.h"

#include <algorithm>
#include <chrono>

#include "base/check.h"
#include "loadgen/traffic/windows.h"

namespace sluice {
namespace {

bool IsRefusal(absl::StatusCode code) {
  return code == absl::StatusCode::kResourceExhausted ||
         code == absl::StatusCode::kUnavailable;
}

LoadInterval WithPercentiles(LoadInterval interval,
                             const LatencyHistogram& latency) {
  interval.p50 = latency.Percentile(50);
  interval.p99 = latency.Percentile(99);
  return interval;
}

}  // namespace

Duration Timeline::LengthFor(Duration duration) {
  return std::max<Duration>(std::chrono::seconds(1),
                            Windows::For(duration).length);
}

Timeline::Timeline(TimePoint start, Duration duration, Duration length,
                   Duration deadline)
    : start_(start), length_(length), deadline_(deadline) {
  SLUICE_DCHECK_GT(length, Duration::zero());
  intervals_.resize(
      static_cast<std::size_t>((duration + length - Duration(1)) / length));
}

void Timeline::Offered(TimePoint intended_start) {
  const std::size_t index = IndexOf(intended_start);
  if (index < intervals_.size()) ++intervals_[index].offered;
}

void Timeline::Ended(const TimelineEnd& call) {
  const std::size_t index = IndexOf(call.end);
  if (index == intervals_.size()) return;
  LoadInterval& interval = intervals_[index];
  const Duration latency = call.end - call.intended_start;
  const bool ok = call.answered && call.code == absl::StatusCode::kOk;
  const bool expired =
      call.answered && call.code == absl::StatusCode::kDeadlineExceeded;
  if (ok && latency <= deadline_) {
    ++interval.in_time;
    // An end that is slightly out of order must not reopen an earlier interval,
    // whose percentiles would be overwritten. Its latency counts in the latest
    // interval.
    if (index > latest_) {
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

std::vector<LoadInterval> Timeline::intervals() const {
  std::vector<LoadInterval> all = intervals_;
  if (!all.empty()) all[latest_] = WithPercentiles(all[latest_], latency_);
  return all;
}

std::size_t Timeline::IndexOf(TimePoint time) const {
  if (time < start_) return intervals_.size();
  return std::min(intervals_.size(),
                  static_cast<std::size_t>((time - start_) / length_));
}

}  // namespace sluice
