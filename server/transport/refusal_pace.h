// Decides which refusals wait before they are sent.
//
// A refusal costs gRPC as much as any other answer. A client that repeats
// refused calls at once could therefore take most of the server's time. So,
// while submissions of other lanes are served, a refusal waits for kHold before
// it is sent. A client with a number of calls in flight is then refused at most
// that many times in kHold. A lane that is alone is refused at once.
//
// Deterministic. Not thread-safe: belongs to a loop.

#ifndef SLUICE_SERVER_TRANSPORT_REFUSAL_PACE_H_
#define SLUICE_SERVER_TRANSPORT_REFUSAL_PACE_H_

#include <chrono>
#include <cstddef>
#include <cstdint>

#include "base/time.h"

namespace sluice {

class RefusalPace {
 public:
  static constexpr Duration kHold = std::chrono::milliseconds(100);
  // Refusals wait for this long after a submission of another lane was served.
  static constexpr Duration kAfterServed = std::chrono::milliseconds(100);
  // Maximum number of refusals that wait. Bounds their memory.
  static constexpr std::size_t kHeldMax = 4096;

  // Records that a submission of `lane` was served.
  void ServedAt(std::uint64_t lane, TimePoint now) {
    if (lane != last_.lane) {
      before_ = last_;
      last_.lane = lane;
    }
    last_.at = now;
  }

  // True if a refusal of `lane` waits until `now` + kHold. `held` refusals wait
  // already. A refusal that its caller would get after `deadline` does not
  // wait.
  bool Holds(std::uint64_t lane, TimePoint deadline, std::size_t held,
             TimePoint now) const {
    const Served& other = lane == last_.lane ? before_ : last_;
    return now - other.at < kAfterServed && held < kHeldMax &&
           deadline - now > kHold;
  }

 private:
  struct Served {
    std::uint64_t lane = 0;
    TimePoint at{};
  };

  // The lane that was served last, and the other lane that was served last.
  Served last_;
  Served before_;
};

}  // namespace sluice

#endif  // SLUICE_SERVER_TRANSPORT_REFUSAL_PACE_H_
