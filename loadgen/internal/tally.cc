#include "loadgen/internal/tally.h"

#include <algorithm>
#include <chrono>
#include <string>
#include <utility>

#include "base/check.h"

namespace sluice {
namespace {

// Limits the memory, in case a server sends a new reason with each call.
constexpr std::size_t kReasonsMax = 32;
constexpr char kOtherReasons[] = "(other)";

}  // namespace

void Tally::Keep(Timeline timeline) {
  SLUICE_DCHECK_EQ(counts_.sent + counts_.not_sent, 0);
  timeline_ = std::move(timeline);
}

void Tally::StopStarts(TimePoint end) {
  if (end >= window_.end) return;
  window_.end = std::max(end, window_.begin);
  rate_end_ = kForever;
}

void Tally::Sent(TimePoint intended_start) {
  if (!window_.Contains(intended_start)) return;
  ++counts_.sent;
  if (timeline_) timeline_->Offered(intended_start);
}

void Tally::Ended(const CallEnd& call) {
  SLUICE_DCHECK_LT(static_cast<std::size_t>(call.code), kStatusCodes);
  if (call.end >= window_.begin && call.end < rate_end_) ++ended_for_rate_;
  if (!window_.Contains(call.intended_start)) return;
  counts_.latency.Add(call.end - call.intended_start);
  ++counts_.codes[static_cast<std::size_t>(call.code)];
  counts_.dispositions.Add(call.dispositions);
  if (call.past_deadline) ++counts_.past_deadline;
  if (call.connection_lost) ++counts_.lost_calls;
  if (call.outcome != nullptr && call.code != absl::StatusCode::kOk) {
    CountRefusal(*call.outcome, call.code);
  }
  if (timeline_) {
    timeline_->Ended({.intended_start = call.intended_start,
                      .end = call.end,
                      .code = call.code,
                      .answered = !call.connection_lost});
  }
}

void Tally::NotSent(TimePoint intended_start) {
  if (!window_.Contains(intended_start)) return;
  ++counts_.not_sent;
  if (timeline_) timeline_->Offered(intended_start);
}

void Tally::ConnectionLost(const absl::Status& why) {
  if (counts_.connections_lost++ == 0) counts_.first_loss = why;
}

double Tally::Rate(TimePoint now) const {
  const double elapsed = ToSeconds(std::min(now, rate_end_) - window_.begin);
  return elapsed > 0 ? static_cast<double>(ended_for_rate_) / elapsed : 0;
}

void Tally::CountRefusal(const GrpcOutcome& outcome, absl::StatusCode code) {
  std::string& first_message =
      counts_.first_messages[static_cast<std::size_t>(code)];
  if (first_message.empty()) first_message = outcome.Message();
  if (const auto ms = outcome.pushback_ms()) {
    auto& range = counts_.pushback_ms;
    if (!range) range = LoadCounts::Range{*ms, *ms};
    range =
        LoadCounts::Range{std::min(range->min, *ms), std::max(range->max, *ms)};
  }
  std::string reason = outcome.Reason();
  if (reason.empty()) return;
  if (counts_.reasons.size() >= kReasonsMax &&
      !counts_.reasons.contains(reason)) {
    reason = kOtherReasons;
  }
  ++counts_.reasons[std::move(reason)];
}

}  // namespace sluice
