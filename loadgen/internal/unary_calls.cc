#include "loadgen/internal/unary_calls.h"

#include "absl/strings/string_view.h"
#include "absl/time/clock.h"

namespace sluice {

namespace {

H2Connection::Headers MetadataOf(const LoadSender& sender) {
  H2Connection::Headers metadata;
  if (!sender.study.empty()) {
    metadata.emplace_back("sluice-study", sender.study);
  }
  if (!sender.site.empty()) {
    metadata.emplace_back("sluice-site", sender.site);
  }
  return metadata;
}

}  // namespace

class UnaryCalls::Call final : public H2Stream {
 public:
  explicit Call(UnaryCalls& owner) : owner_(owner) {}

  void Begin(Calls::iterator self, TimePoint intended_start, TimePoint now,
             absl::string_view request) {
    self_ = self;
    intended_start_ = intended_start;
    sent_at_ = now;
    cancelled_ = false;
    malformed_ = false;
    answers_ = 0;
    dispositions_ = {};
    outcome_.Reset();
    reader_.Reset();
    ResetRequest();
    AppendGrpcMessage(request, unsent());
    EndAfterUnsent();
  }

  void OnHeader(absl::string_view name, absl::string_view value) override {
    outcome_.ReadHeader(name, value);
  }

  void OnData(absl::string_view bytes) override {
    if (malformed_) return;
    const auto status = reader_.Read(bytes, [this](absl::string_view message) {
      ++answers_;
      malformed_ |= !owner_.workload_.ReadAnswer(message, dispositions_);
    });
    malformed_ |= !status.ok();
  }

  void OnClose(std::uint32_t h2_error) override {
    owner_.Closed(*this, h2_error);
  }

  // Returns the status. An OK call must have exactly one well-formed answer.
  absl::StatusCode Code(std::uint32_t h2_error) const {
    const absl::StatusCode code = outcome_.Code(h2_error);
    const bool answered =
        answers_ == 1 && !malformed_ && !reader_.inside_message();
    return code == absl::StatusCode::kOk && !answered
               ? absl::StatusCode::kInternal
               : code;
  }

  bool PastDeadline(TimePoint now) const {
    return now - sent_at_ >= owner_.deadline_;
  }

  UnaryCalls& owner_;
  Calls::iterator self_;
  TimePoint intended_start_;
  TimePoint sent_at_;
  bool cancelled_ = false;
  bool malformed_ = false;
  int answers_ = 0;
  DispositionCounts dispositions_;
  GrpcOutcome outcome_;
  GrpcMessageReader reader_;
};

UnaryCalls::UnaryCalls(H2Connection& connection, Workload& workload,
                       Tally& tally, Duration deadline)
    : connection_(connection),
      workload_(workload),
      tally_(tally),
      deadline_(deadline) {}

UnaryCalls::~UnaryCalls() = default;

bool UnaryCalls::Send(TimePoint intended_start, TimePoint now,
                      const LoadSender& sender) {
  if (idle_.empty()) idle_.emplace_back(*this);
  const auto call = idle_.begin();
  call->Begin(call, intended_start, now,
              workload_.NextRequest(absl::Now()).bytes);
  if (!connection_.Open(*call, MetadataOf(sender))) return false;
  waiting_.splice(waiting_.end(), idle_, call);
  tally_.Sent(intended_start);
  return true;
}

bool UnaryCalls::Expire(TimePoint now) {
  bool expired = false;
  while (!waiting_.empty() && waiting_.front().PastDeadline(now)) {
    Call& call = waiting_.front();
    Cancel(call, {.intended_start = call.intended_start_,
                  .end = now,
                  .code = absl::StatusCode::kDeadlineExceeded,
                  .past_deadline = true});
    expired = true;
  }
  return expired;
}

void UnaryCalls::Abandon(double share, std::mt19937_64& random, TimePoint now) {
  std::bernoulli_distribution chosen(share);
  for (auto next = waiting_.begin(); next != waiting_.end();) {
    Call& call = *next++;
    if (!chosen(random)) continue;
    Cancel(call, {.intended_start = call.intended_start_,
                  .end = now,
                  .code = absl::StatusCode::kCancelled});
  }
}

void UnaryCalls::Cancel(Call& call, const CallEnd& end) {
  tally_.Ended(end);
  call.cancelled_ = true;
  cancelled_.splice(cancelled_.end(), waiting_, call.self_);
  connection_.Cancel(call);
}

void UnaryCalls::ConnectionLost(TimePoint now) {
  for (const Call& call : waiting_) {
    tally_.Ended({.intended_start = call.intended_start_,
                  .end = now,
                  .code = absl::StatusCode::kUnavailable,
                  .connection_lost = true,
                  .past_deadline = call.PastDeadline(now)});
  }
  idle_.splice(idle_.end(), waiting_);
  idle_.splice(idle_.end(), cancelled_);
}

void UnaryCalls::Closed(Call& call, std::uint32_t h2_error) {
  if (call.cancelled_) {
    idle_.splice(idle_.begin(), cancelled_, call.self_);
    return;
  }
  const auto now = std::chrono::steady_clock::now();
  const absl::StatusCode code = call.Code(h2_error);
  tally_.Ended({.intended_start = call.intended_start_,
                .end = now,
                .code = code,
                .dispositions = code == absl::StatusCode::kOk
                                    ? call.dispositions_
                                    : DispositionCounts{},
                .outcome = &call.outcome_,
                // The server may have noticed the deadline first.
                .past_deadline = code == absl::StatusCode::kDeadlineExceeded ||
                                 call.PastDeadline(now)});
  idle_.splice(idle_.begin(), waiting_, call.self_);
}

}  // namespace sluice
