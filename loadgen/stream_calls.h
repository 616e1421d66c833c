// SubmitStreams for the messages of a connection. What counts as a call is a
// message with its receipt.

#ifndef SLUICE_LOADGEN_STREAM_CALLS_H_
#define SLUICE_LOADGEN_STREAM_CALLS_H_

#include <deque>

#include "loadgen/call_set.h"
#include "loadgen/tally.h"
#include "loadgen/workload.h"

namespace sluice {

class StreamCalls final : public CallSet {
 public:
  // All three outlive this. There is at least one stream.
  StreamCalls(H2Connection& connection, Workload& workload, Tally& tally,
              int streams);
  ~StreamCalls() override;

  // On the stream with the fewest messages in flight. Opens it where it is not
  // open, so also after the server ended it.
  bool Send(LoadClock::time_point intended_start, LoadClock::time_point now,
            const LoadSender& sender) override;
  std::size_t in_flight() const override;
  bool idle() const override;
  bool Expire(LoadClock::time_point) override { return false; }
  // Messages cannot be given up one by one.
  void Abandon(double, std::mt19937_64&, LoadClock::time_point) override {}
  void NoMoreSends() override;
  void ConnectionLost(LoadClock::time_point now) override;

 private:
  class Stream;

  H2Connection& connection_;
  Workload& workload_;
  Tally& tally_;
  std::deque<Stream> streams_;
};

}  // namespace sluice

#endif  // SLUICE_LOADGEN_STREAM_CALLS_H_
