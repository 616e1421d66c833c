// The ends of a run's calls by interval.

#ifndef SLUICE_LOADGEN_INTERNAL_TIMELINE_H_
#define SLUICE_LOADGEN_INTERNAL_TIMELINE_H_

#include <cstddef>
#include <vector>

#include "absl/status/status.h"
#include "base/time.h"
#include "loadgen/latency_histogram.h"
#include "loadgen/loadgen.h"

namespace sluice {

// The data about a call's end that a timeline uses.
struct TimelineEnd {
  TimePoint intended_start{};
  TimePoint end{};
  absl::StatusCode code = absl::StatusCode::kOk;
  bool answered = true;  // true if the server answered, with any status
};

// Cuts a run into intervals of equal length. Memory does not grow with the
// number of calls. Not thread-safe.
class Timeline {
 public:
  // Makes intervals of `length` that cover `duration`. A call is in time if it
  // ended at most `deadline` after its intended start, even if it was sent
  // late. Duration::max() means no deadline.
  Timeline(TimePoint start, Duration duration, Duration length,
           Duration deadline);

  // Returns an interval length of at least a second that cuts `duration` into
  // at most 300 intervals.
  static Duration LengthFor(Duration duration);

  void Offered(TimePoint intended_start);
  // Adds a call. Calls must be added in the order of their ends, or nearly so.
  // Ends after the last interval are not counted.
  void Ended(const TimelineEnd& call);

  TimePoint start() const { return start_; }
  Duration length() const { return length_; }
  // Returns all intervals, without pool samples.
  std::vector<LoadInterval> intervals() const;

 private:
  // Returns the index of the interval that contains `time`, or the number of
  // intervals if none does.
  std::size_t IndexOf(TimePoint time) const;

  TimePoint start_;
  Duration length_;
  Duration deadline_;
  std::vector<LoadInterval> intervals_;
  // The interval of the latest call in time, and the latencies in it. Only one
  // histogram is needed because ends arrive in order.
  std::size_t latest_ = 0;
  LatencyHistogram latency_;
};

}  // namespace sluice

#endif  // SLUICE_LOADGEN_INTERNAL_TIMELINE_H_
