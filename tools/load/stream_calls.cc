#include "tools/load/stream_calls.h"

#include <algorithm>

#include "absl/strings/string_view.h"
#include "absl/time/clock.h"

namespace sluice {
namespace {

UuidText ToUuidText(absl::string_view id) {
  UuidText text{};
  std::copy_n(id.begin(), std::min(id.size(), text.size()), text.begin());
  return text;
}

}  // namespace

bool StreamCalls::Send(LoadClock::time_point intended_start,
                       LoadClock::time_point /*now*/,
                       const LoadSender& /*sender*/) {
  if (!open_) {
    ResetRequest();
    outcome_.Reset();
    reader_.Reset();
    malformed_ = false;
    if (!connection_.Open(*this)) return false;
    open_ = true;
  }
  const Sample sample = workload_.NextRequest(absl::Now());
  AppendGrpcMessage(sample.bytes, unsent());
  connection_.Resume(*this);
  started_[ToUuidText(sample.first_id)] = intended_start;
  tally_.Sent(intended_start);
  return true;
}

void StreamCalls::NoMoreSends() {
  if (!open_) return;
  EndAfterUnsent();
  connection_.Resume(*this);
}

void StreamCalls::ConnectionLost(LoadClock::time_point now) {
  open_ = false;
  EndAll({.end = now,
          .code = absl::StatusCode::kUnavailable,
          .connection_lost = true});
}

void StreamCalls::OnHeader(absl::string_view name, absl::string_view value) {
  outcome_.ReadHeader(name, value);
}

void StreamCalls::OnData(absl::string_view bytes) {
  if (malformed_) return;
  const auto status = reader_.Read(
      bytes, [this](absl::string_view message) { ReadReceipt(message); });
  malformed_ |= !status.ok();
  if (malformed_) connection_.Cancel(*this);
}

void StreamCalls::ReadReceipt(absl::string_view message) {
  const v1::Receipt* receipt = workload_.ReadReceipt(message);
  if (receipt == nullptr) {
    malformed_ = true;
    return;
  }
  const auto started = started_.find(ToUuidText(receipt->submission_id()));
  if (started == started_.end()) return;
  CallEnd end{.intended_start = started->second, .end = LoadClock::now()};
  end.dispositions.Add(receipt->disposition());
  started_.erase(started);
  tally_.Ended(end);
}

void StreamCalls::OnClose(std::uint32_t h2_error) {
  open_ = false;
  absl::StatusCode code = outcome_.Code(h2_error);
  // A message left without its receipt has failed, whatever the stream says.
  if (malformed_ || code == absl::StatusCode::kOk) {
    code = absl::StatusCode::kInternal;
  }
  EndAll({.end = LoadClock::now(), .code = code, .outcome = &outcome_});
}

void StreamCalls::EndAll(CallEnd end) {
  for (const auto& [id, intended_start] : started_) {
    end.intended_start = intended_start;
    tally_.Ended(end);
  }
  started_.clear();
}

}  // namespace sluice
