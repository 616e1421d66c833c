#include "loadgen/tally.h"

#include <algorithm>
#include <chrono>
#include <utility>

namespace sluice {
namespace {

// A server that makes up a reason for each call costs no memory.
constexpr std::size_t kReasonsMax = 32;
constexpr char kOtherReasons[] = "(other)";

}  // namespace

void Tally::StopStarts(LoadClock::time_point end) {
  if (end >= window_.end) return;
  window_.end = std::max(end, window_.begin);
  rate_end_ = LoadClock::time_point::max();
}

void Tally::Sent(LoadClock::time_point intended_start) {
  if (!window_.Contains(intended_start)) return;
  ++sent_;
  if (timeline_) timeline_->Offered(intended_start);
}

void Tally::Ended(const CallEnd& call) {
  if (call.end >= window_.begin && call.end < rate_end_) ++ended_for_rate_;
  if (!window_.Contains(call.intended_start)) return;
  latency_.Add(call.end - call.intended_start);
  ++codes_[static_cast<std::size_t>(call.code)];
  dispositions_.Add(call.dispositions);
  if (call.past_deadline) ++past_deadline_;
  if (call.connection_lost) ++lost_calls_;
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

void Tally::NotSent(LoadClock::time_point intended_start) {
  if (!window_.Contains(intended_start)) return;
  ++not_sent_;
  if (timeline_) timeline_->Offered(intended_start);
}

void Tally::ConnectionLost(const absl::Status& why) {
  if (connections_lost_++ == 0) first_loss_ = why;
}

double Tally::Rate(LoadClock::time_point now) const {
  const std::chrono::duration<double> elapsed =
      std::min(now, rate_end_) - window_.begin;
  return elapsed.count() > 0
             ? static_cast<double>(ended_for_rate_) / elapsed.count()
             : 0;
}

void Tally::CountRefusal(const GrpcOutcome& outcome, absl::StatusCode code) {
  std::string& first_message = first_messages_[static_cast<std::size_t>(code)];
  if (first_message.empty()) first_message = outcome.Message();
  if (const auto ms = outcome.pushback_ms()) {
    if (!pushback_ms_) pushback_ms_ = Range{*ms, *ms};
    pushback_ms_ = Range{std::min(pushback_ms_->min, *ms),
                         std::max(pushback_ms_->max, *ms)};
  }
  std::string reason = outcome.Reason();
  if (reason.empty()) return;
  if (reasons_.size() >= kReasonsMax && !reasons_.contains(reason)) {
    reason = kOtherReasons;
  }
  ++reasons_[std::move(reason)];
}

}  // namespace sluice
