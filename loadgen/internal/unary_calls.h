// Unary calls: one HTTP/2 stream for each request.

#ifndef SLUICE_LOADGEN_INTERNAL_UNARY_CALLS_H_
#define SLUICE_LOADGEN_INTERNAL_UNARY_CALLS_H_

#include <list>

#include "loadgen/internal/call_set.h"
#include "loadgen/internal/grpc_framing.h"
#include "loadgen/internal/tally.h"
#include "loadgen/internal/workload.h"

namespace sluice {

class UnaryCalls final : public CallSet {
 public:
  // All references must outlive this object. `deadline` counts from the time of
  // sending; Duration::max() means no deadline.
  UnaryCalls(H2Connection& connection, Workload& workload, Tally& tally,
             Duration deadline);
  ~UnaryCalls() override;

  bool Send(TimePoint intended_start, TimePoint now,
            const LoadSender& sender) override;
  std::size_t in_flight() const override {
    return waiting_.size() + cancelled_.size();
  }
  bool idle() const override { return in_flight() == 0; }
  bool Expire(TimePoint now) override;
  void Abandon(double share, std::mt19937_64& random, TimePoint now) override;
  void NoMoreSends() override {}
  void ConnectionLost(TimePoint now) override;

 private:
  class Call;
  using Calls = std::list<Call>;

  // Counts the end of an unanswered call and resets its stream.
  void Cancel(Call& call, const CallEnd& end);
  void Closed(Call& call, std::uint32_t h2_error);

  H2Connection& connection_;
  Workload& workload_;
  Tally& tally_;
  const Duration deadline_;

  // A call moves between these lists. No call is freed before this object.
  Calls waiting_;    // unanswered, in the order of sending
  Calls cancelled_;  // counted as ended; their streams are not closed yet
  Calls idle_;       // free list
};

}  // namespace sluice

#endif  // SLUICE_LOADGEN_INTERNAL_UNARY_CALLS_H_
