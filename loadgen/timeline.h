// What became of the calls of a run, over its time.

#ifndef SLUICE_LOADGEN_TIMELINE_H_
#define SLUICE_LOADGEN_TIMELINE_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "loadgen/latency_histogram.h"
#include "loadgen/pacing.h"

namespace sluice {

// How a call ended, as far as a timeline tells it apart.
struct TimelineEnd {
  LoadClock::time_point intended_start{};
  LoadClock::time_point end{};
  absl::StatusCode code = absl::StatusCode::kOk;
  bool answered = true;  // by the server, whatever it said
};

// Cuts a run into intervals of equal length. Memory does not grow with the
// number of calls. Not thread-safe.
class Timeline {
 public:
  // Calls are counted as offered in the interval of their intended start, and
  // otherwise in that of their end.
  struct Interval {
    std::int64_t offered = 0;
    std::int64_t in_time = 0;  // told OK, at the deadline at the latest
    std::int64_t late = 0;     // told OK too late, or given up at the deadline
    std::int64_t refused = 0;  // RESOURCE_EXHAUSTED, or the server UNAVAILABLE
    std::int64_t failed = 0;   // what else there is, lost connections included
    // From the intended start, of those in time; 0 where there are none.
    std::chrono::nanoseconds p50{0};
    std::chrono::nanoseconds p99{0};
  };

  // As many of `length` as `duration` takes. A call is in time up to `deadline`
  // after its intended start, whenever it could be sent.
  // LoadClock::duration::max() means none.
  Timeline(LoadClock::time_point start, LoadClock::duration duration,
           LoadClock::duration length, LoadClock::duration deadline);

  // A length of which a run has at most 300; a second at least.
  static LoadClock::duration LengthFor(LoadClock::duration duration);

  void Offered(LoadClock::time_point intended_start);
  // In the order of ends. What ends after the last interval is not counted.
  void Ended(const TimelineEnd& call);

  LoadClock::time_point start() const { return start_; }
  LoadClock::duration length() const { return length_; }
  std::vector<Interval> intervals() const;

 private:
  // The number of intervals where it is outside of all.
  std::size_t IndexOf(LoadClock::time_point time) const;

  LoadClock::time_point start_;
  LoadClock::duration length_;
  LoadClock::duration deadline_;
  std::vector<Interval> intervals_;
  // In which the latest call has ended, and the latencies there.
  std::size_t latest_ = 0;
  LatencyHistogram latency_;
};

}  // namespace sluice

#endif  // SLUICE_LOADGEN_TIMELINE_H_
