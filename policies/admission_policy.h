// Start here: what happens to an arrival that finds its queue full.
//
// A policy is a pure function: it sees the arrival and the state of the pool,
// and says what to do. It holds no state, takes no lock and reads no clock, so
// one object serves all threads. A new one is a file beside this one and a line
// in registry.cc.

#ifndef SLUICE_POLICIES_ADMISSION_POLICY_H_
#define SLUICE_POLICIES_ADMISSION_POLICY_H_

#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/time.h"
#include "policies/priority.h"

namespace sluice {

struct Arrival {
  // When it came; for one of many tasks of a call, when the call came.
  TimePoint now;
  TimePoint deadline = kForever;  // the caller's own
  std::size_t bytes = 0;
  std::size_t bytes_behind = 0;  // that its call keeps beside it while it waits
  // Its caller is answered before it is worked.
  bool promised = false;
  // Its class, and who sends it, where the pool is shared fairly; nothing where
  // that is not known yet.
  Priority priority = Priority::kNormal;
  std::optional<std::uint64_t> lane = 0;
};

// The pool as an arrival finds it.
struct PoolView {
  std::size_t depth = 0;  // submissions in the queue
  std::size_t capacity = 0;
  std::size_t held_bytes = 0;  // of those in the queue or in work
  std::size_t capacity_bytes = 0;
  std::size_t waiting = 0;  // arrivals parked before this one
  std::size_t waiting_max = 0;
  double drained_per_second = 0;  // measured; 0 where nothing was yet
};

struct Verdict {
  enum class Kind { kPark, kRefuse, kDrop, kEvictOldest };

  // Wait for room, at most until `until`; kForever leaves it to the caller's
  // deadline, which ends every wait.
  static Verdict ParkUntil(TimePoint until) { return {Kind::kPark, until}; }
  // Answer at once that there is no room.
  static Verdict Refuse() { return {Kind::kRefuse, {}}; }
  // Answer at once that it is not kept.
  static Verdict Drop() { return {Kind::kDrop, {}}; }
  // Take the place of the oldest of its method that may be dropped, and of as
  // many more as its bytes need; where that does not make room, as Drop.
  static Verdict EvictOldest() { return {Kind::kEvictOldest, {}}; }

  Kind kind;
  TimePoint until;  // of kPark
  // What a policy would have done that is only asked as well (shadowed.h).
  std::optional<Kind> shadow = std::nullopt;
};
inline constexpr std::size_t kVerdictKinds = 4;

class AdmissionPolicy {
 public:
  virtual ~AdmissionPolicy() = default;

  // Asked only when there is no room for the arrival.
  virtual Verdict OnFull(const Arrival& arrival,
                         const PoolView& pool) const = 0;
};

}  // namespace sluice

#endif  // SLUICE_POLICIES_ADMISSION_POLICY_H_
