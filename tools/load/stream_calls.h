// One SubmitStream for all messages of a connection. What counts as a call is a
// message with its receipt.

#ifndef SLUICE_TOOLS_LOAD_STREAM_CALLS_H_
#define SLUICE_TOOLS_LOAD_STREAM_CALLS_H_

#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "tools/load/call_set.h"
#include "tools/load/grpc_framing.h"
#include "tools/load/tally.h"
#include "tools/load/workload.h"
#include "tools/uuid.h"

namespace sluice {

class StreamCalls final : public CallSet, private H2Stream {
 public:
  // All three outlive this.
  StreamCalls(H2Connection& connection, Workload& workload, Tally& tally)
      : connection_(connection), workload_(workload), tally_(tally) {}

  // Opens a stream where there is none, so also after the server ended one.
  bool Send(LoadClock::time_point intended_start, LoadClock::time_point now,
            const LoadSender& sender) override;
  std::size_t in_flight() const override { return started_.size(); }
  bool idle() const override { return started_.empty() && !open_; }
  bool Expire(LoadClock::time_point) override { return false; }
  // Messages cannot be given up one by one.
  void Abandon(double, std::mt19937_64&, LoadClock::time_point) override {}
  void NoMoreSends() override;
  void ConnectionLost(LoadClock::time_point now) override;

 private:
  void OnHeader(absl::string_view name, absl::string_view value) override;
  void OnData(absl::string_view bytes) override;
  void OnClose(std::uint32_t h2_error) override;

  void ReadReceipt(absl::string_view message);
  // Every message that has no receipt ends like this.
  void EndAll(CallEnd end);

  H2Connection& connection_;
  Workload& workload_;
  Tally& tally_;

  bool open_ = false;
  bool malformed_ = false;
  GrpcOutcome outcome_;
  GrpcMessageReader reader_;
  // When the messages without a receipt were meant to start, by submission_id.
  absl::flat_hash_map<UuidText, LoadClock::time_point> started_;
};

}  // namespace sluice

#endif  // SLUICE_TOOLS_LOAD_STREAM_CALLS_H_
