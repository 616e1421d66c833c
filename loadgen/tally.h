// What a run has counted so far.

#ifndef SLUICE_LOADGEN_TALLY_H_
#define SLUICE_LOADGEN_TALLY_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "loadgen/grpc_framing.h"
#include "loadgen/latency_histogram.h"
#include "loadgen/pacing.h"
#include "loadgen/timeline.h"
#include "loadgen/workload.h"

namespace sluice {

inline constexpr std::size_t kStatusCodes = 17;

// The end of one call, or of one message of a stream.
struct CallEnd {
  LoadClock::time_point intended_start{};
  LoadClock::time_point end{};
  absl::StatusCode code = absl::StatusCode::kOk;
  // What an OK answer said.
  DispositionCounts dispositions{};
  // Headers and trailers, where there were any; of another status than OK.
  const GrpcOutcome* outcome = nullptr;
  // No answer came: the connection was lost.
  bool connection_lost = false;
  // The deadline had passed by then.
  bool past_deadline = false;
};

// Counts the calls that were meant to start in the window, whenever they end;
// the rate alone counts the ends in the window, whenever they started. Not
// thread-safe.
class Tally {
 public:
  explicit Tally(Window window) : window_(window), rate_end_(window.end) {}

  const Window& window() const { return window_; }
  // Keeps one of the calls that it counts, too. Nothing may be counted before.
  void Keep(Timeline timeline) { timeline_ = std::move(timeline); }
  const std::optional<Timeline>& timeline() const { return timeline_; }
  // No call starts from `end` on, although the window would have lasted longer.
  // The rate then runs until the last answer.
  void StopStarts(LoadClock::time_point end);

  void Sent(LoadClock::time_point intended_start);
  void Ended(const CallEnd& call);
  void NotSent(LoadClock::time_point intended_start);
  void ConnectionLost(const absl::Status& why);

  // Of measured calls.
  std::int64_t sent() const { return sent_; }
  std::int64_t ended() const { return latency_.count(); }
  // Sent, and not ended.
  std::int64_t unfinished() const { return sent_ - ended(); }
  std::int64_t not_sent() const { return not_sent_; }
  std::int64_t past_deadline() const { return past_deadline_; }
  std::int64_t lost_calls() const { return lost_calls_; }
  std::int64_t of(absl::StatusCode code) const {
    return codes_[static_cast<std::size_t>(code)];
  }
  // What the first call that ended so was told.
  const std::string& first_message(absl::StatusCode code) const {
    return first_messages_[static_cast<std::size_t>(code)];
  }
  const DispositionCounts& dispositions() const { return dispositions_; }
  const LatencyHistogram& latency() const { return latency_; }
  // Refusals by ErrorInfo.reason.
  const std::map<std::string, std::int64_t>& reasons() const {
    return reasons_;
  }

  struct Range {
    std::int64_t min;
    std::int64_t max;
  };
  // The delays that refused calls were told, in milliseconds.
  const std::optional<Range>& pushback_ms() const { return pushback_ms_; }

  // Ends a second, in the window up to `now`.
  double Rate(LoadClock::time_point now) const;

  // Of the whole run, warm-up included.
  std::int64_t connections_lost() const { return connections_lost_; }
  const absl::Status& first_loss() const { return first_loss_; }

 private:
  void CountRefusal(const GrpcOutcome& outcome, absl::StatusCode code);

  Window window_;
  LoadClock::time_point rate_end_;
  std::int64_t sent_ = 0;
  std::int64_t ended_for_rate_ = 0;
  std::int64_t not_sent_ = 0;
  std::int64_t past_deadline_ = 0;
  std::int64_t lost_calls_ = 0;
  std::array<std::int64_t, kStatusCodes> codes_{};
  std::array<std::string, kStatusCodes> first_messages_;
  DispositionCounts dispositions_;
  LatencyHistogram latency_;
  std::map<std::string, std::int64_t> reasons_;
  std::optional<Range> pushback_ms_;
  std::int64_t connections_lost_ = 0;
  absl::Status first_loss_;
  std::optional<Timeline> timeline_;
};

}  // namespace sluice

#endif  // SLUICE_LOADGEN_TALLY_H_
