// The SubmitStream calls of one connection. In the results, a message and its
// receipt count as one call.

#ifndef SLUICE_LOADGEN_INTERNAL_STREAM_CALLS_H_
#define SLUICE_LOADGEN_INTERNAL_STREAM_CALLS_H_

#include <deque>

#include "loadgen/internal/call_set.h"
#include "loadgen/internal/tally.h"
#include "loadgen/internal/workload.h"

namespace sluice {

class StreamCalls final : public CallSet {
 public:
  // All references must outlive this object. `streams` must be at least 1.
  StreamCalls(H2Connection& connection, Workload& workload, Tally& tally,
              int streams);
  ~StreamCalls() override;

  // Sends on the stream with the fewest messages in flight. Opens the stream if
  // needed, including after the server has ended it.
  bool Send(TimePoint intended_start, TimePoint now,
            const LoadSender& sender) override;
  std::size_t in_flight() const override;
  bool idle() const override;
  bool Expire(TimePoint) override { return false; }
  // Does nothing: a message cannot be cancelled individually.
  void Abandon(double, std::mt19937_64&, TimePoint) override {}
  void NoMoreSends() override;
  void ConnectionLost(TimePoint now) override;

 private:
  class Stream;

  H2Connection& connection_;
  Workload& workload_;
  Tally& tally_;
  std::deque<Stream> streams_;
};

}  // namespace sluice

#endif  // SLUICE_LOADGEN_INTERNAL_STREAM_CALLS_H_
