#include "loadgen/internal/stream_calls.h"

#include <algorithm>
#include <functional>
#include <numeric>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "absl/time/clock.h"
#include "base/check.h"
#include "base/uuid.h"
#include "loadgen/internal/grpc_framing.h"

namespace sluice {
namespace {

UuidText ToUuidText(absl::string_view id) {
  UuidText text{};
  std::copy_n(id.begin(), std::min(id.size(), text.size()), text.begin());
  return text;
}

}  // namespace

class StreamCalls::Stream final : public H2Stream {
 public:
  explicit Stream(StreamCalls& owner) : owner_(owner) {}

  std::size_t in_flight() const { return started_.size(); }
  bool idle() const { return started_.empty() && !open_; }

  bool Send(TimePoint intended_start);
  void NoMoreSends();
  void ConnectionLost(TimePoint now);

 private:
  void OnHeader(absl::string_view name, absl::string_view value) override;
  void OnData(absl::string_view bytes) override;
  void OnClose(std::uint32_t h2_error) override;

  void ReadReceipt(absl::string_view message);
  // Ends every message that has no receipt with `end`.
  void EndAll(CallEnd end);

  StreamCalls& owner_;
  bool open_ = false;
  bool malformed_ = false;
  GrpcOutcome outcome_;
  GrpcMessageReader reader_;
  // Intended start of each message without a receipt, by submission_id.
  absl::flat_hash_map<UuidText, TimePoint> started_;
};

bool StreamCalls::Stream::Send(TimePoint intended_start) {
  if (!open_) {
    ResetRequest();
    outcome_.Reset();
    reader_.Reset();
    malformed_ = false;
    if (!owner_.connection_.Open(*this)) return false;
    open_ = true;
  }
  const Sample sample = owner_.workload_.NextRequest(absl::Now());
  AppendGrpcMessage(sample.bytes, unsent());
  owner_.connection_.Resume(*this);
  started_[ToUuidText(sample.first_id)] = intended_start;
  owner_.tally_.Sent(intended_start);
  return true;
}

void StreamCalls::Stream::NoMoreSends() {
  if (!open_) return;
  EndAfterUnsent();
  owner_.connection_.Resume(*this);
}

void StreamCalls::Stream::ConnectionLost(TimePoint now) {
  open_ = false;
  EndAll({.end = now,
          .code = absl::StatusCode::kUnavailable,
          .connection_lost = true});
}

void StreamCalls::Stream::OnHeader(absl::string_view name,
                                   absl::string_view value) {
  outcome_.ReadHeader(name, value);
}

void StreamCalls::Stream::OnData(absl::string_view bytes) {
  if (malformed_) return;
  const auto status = reader_.Read(
      bytes, [this](absl::string_view message) { ReadReceipt(message); });
  malformed_ |= !status.ok();
  if (malformed_) owner_.connection_.Cancel(*this);
}

void StreamCalls::Stream::ReadReceipt(absl::string_view message) {
  const v1::Receipt* receipt = owner_.workload_.ReadReceipt(message);
  if (receipt == nullptr) {
    malformed_ = true;
    return;
  }
  const auto started = started_.find(ToUuidText(receipt->submission_id()));
  if (started == started_.end()) return;
  CallEnd end{.intended_start = started->second,
              .end = std::chrono::steady_clock::now()};
  end.dispositions.Add(receipt->disposition());
  started_.erase(started);
  owner_.tally_.Ended(end);
}

void StreamCalls::Stream::OnClose(std::uint32_t h2_error) {
  open_ = false;
  absl::StatusCode code = outcome_.Code(h2_error);
  // A message without a receipt has failed, even if the stream ended OK.
  if (malformed_ || code == absl::StatusCode::kOk) {
    code = absl::StatusCode::kInternal;
  }
  EndAll({.end = std::chrono::steady_clock::now(),
          .code = code,
          .outcome = &outcome_});
}

void StreamCalls::Stream::EndAll(CallEnd end) {
  for (const auto& [id, intended_start] : started_) {
    end.intended_start = intended_start;
    owner_.tally_.Ended(end);
  }
  started_.clear();
}

StreamCalls::StreamCalls(H2Connection& connection, Workload& workload,
                         Tally& tally, int streams)
    : connection_(connection), workload_(workload), tally_(tally) {
  SLUICE_DCHECK_GE(streams, 1);
  for (int i = 0; i < streams; ++i) streams_.emplace_back(*this);
}

StreamCalls::~StreamCalls() = default;

bool StreamCalls::Send(TimePoint intended_start, TimePoint /*now*/,
                       const LoadSender& /*sender*/) {
  const auto stream =
      std::ranges::min_element(streams_, {}, &Stream::in_flight);
  return stream->Send(intended_start);
}

std::size_t StreamCalls::in_flight() const {
  return std::transform_reduce(
      streams_.begin(), streams_.end(), std::size_t{0}, std::plus<>(),
      [](const Stream& stream) { return stream.in_flight(); });
}

bool StreamCalls::idle() const {
  return std::ranges::all_of(streams_, &Stream::idle);
}

void StreamCalls::NoMoreSends() {
  for (Stream& stream : streams_) stream.NoMoreSends();
}

void StreamCalls::ConnectionLost(TimePoint now) {
  for (Stream& stream : streams_) stream.ConnectionLost(now);
}

}  // namespace sluice
