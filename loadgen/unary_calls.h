// A stream for each request.

#ifndef SLUICE_LOADGEN_UNARY_CALLS_H_
#define SLUICE_LOADGEN_UNARY_CALLS_H_

#include <list>

#include "loadgen/call_set.h"
#include "loadgen/grpc_framing.h"
#include "loadgen/tally.h"
#include "loadgen/workload.h"

namespace sluice {

class UnaryCalls final : public CallSet {
 public:
  // All three outlive this. `deadline` counts from the moment of sending;
  // LoadClock::duration::max() means none.
  UnaryCalls(H2Connection& connection, Workload& workload, Tally& tally,
             LoadClock::duration deadline);
  ~UnaryCalls() override;

  bool Send(LoadClock::time_point intended_start, LoadClock::time_point now,
            const LoadSender& sender) override;
  std::size_t in_flight() const override {
    return waiting_.size() + expired_.size();
  }
  bool idle() const override { return in_flight() == 0; }
  bool Expire(LoadClock::time_point now) override;
  void Abandon(double share, std::mt19937_64& random,
               LoadClock::time_point now) override;
  void NoMoreSends() override {}
  void ConnectionLost(LoadClock::time_point now) override;

 private:
  class Call;
  using Calls = std::list<Call>;

  void GiveUp(Call& call, const CallEnd& end);
  void Closed(Call& call, std::uint32_t h2_error);

  H2Connection& connection_;
  Workload& workload_;
  Tally& tally_;
  const LoadClock::duration deadline_;

  // A call moves from list to list and is never freed before the end.
  Calls waiting_;  // for an answer, in the order of their sending
  Calls expired_;  // or abandoned: counted as ended; their streams are yet to
                   // close
  Calls idle_;
};

}  // namespace sluice

#endif  // SLUICE_LOADGEN_UNARY_CALLS_H_
