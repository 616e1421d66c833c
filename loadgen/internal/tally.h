// Counts the ends of a run's calls as they happen.

#ifndef SLUICE_LOADGEN_INTERNAL_TALLY_H_
#define SLUICE_LOADGEN_INTERNAL_TALLY_H_

#include <cstdint>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "base/time.h"
#include "loadgen/internal/grpc_framing.h"
#include "loadgen/internal/timeline.h"
#include "loadgen/loadgen.h"

namespace sluice {

// The time in which measured calls start: after the warm-up, until the end of
// the load.
struct Window {
  // Returns the window of `duration` after a warm-up that begins at `start`.
  static Window After(TimePoint start, Duration warmup, Duration duration) {
    return {start + warmup, start + warmup + duration};
  }

  bool Contains(TimePoint time) const { return time >= begin && time < end; }

  TimePoint begin;
  TimePoint end;
};

// The end of one call, or of one message of a stream.
struct CallEnd {
  TimePoint intended_start{};
  TimePoint end{};
  absl::StatusCode code = absl::StatusCode::kOk;
  // Receipts of an OK answer.
  DispositionCounts dispositions{};
  // Headers and trailers of a call that did not end OK. Null if there are none.
  const GrpcOutcome* outcome = nullptr;
  // True if the call ended without an answer because its connection was lost.
  bool connection_lost = false;
  // True if the call ended after its deadline.
  bool past_deadline = false;
};

// Counts the calls whose intended start is in the window, whenever they end.
// Exception: the rate counts ends in the window, whenever the calls started.
// Not thread-safe.
class Tally {
 public:
  explicit Tally(Window window) : window_(window), rate_end_(window.end) {}

  const Window& window() const { return window_; }
  // Keeps a timeline of the counted calls. Must be called before any call is
  // counted.
  void Keep(Timeline timeline);
  const std::optional<Timeline>& timeline() const { return timeline_; }
  // Moves the end of the window forward to `end`, because no further call
  // starts. The rate then runs until the last answer.
  void StopStarts(TimePoint end);

  void Sent(TimePoint intended_start);
  void Ended(const CallEnd& call);
  void NotSent(TimePoint intended_start);
  void ConnectionLost(const absl::Status& why);

  const LoadCounts& counts() const { return counts_; }

  // Returns ends per second, in the window up to `now`.
  double Rate(TimePoint now) const;

 private:
  void CountRefusal(const GrpcOutcome& outcome, absl::StatusCode code);

  Window window_;
  TimePoint rate_end_;
  std::int64_t ended_for_rate_ = 0;
  LoadCounts counts_;
  std::optional<Timeline> timeline_;
};

}  // namespace sluice

#endif  // SLUICE_LOADGEN_INTERNAL_TALLY_H_
