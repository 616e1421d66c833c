// Start here: what happens to an arrival that finds its queue full.
//
// A policy is a pure function: it sees the arrival and the state of the pool,
// and decides what to do. It holds no state, takes no lock and reads no clock,
// so that one object serves all threads. To add a policy, add a file beside
// this one and a line in registry.cc.

#ifndef SLUICE_POLICIES_ADMISSION_POLICY_H_
#define SLUICE_POLICIES_ADMISSION_POLICY_H_

#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/time.h"
#include "policies/priority.h"

namespace sluice {

struct Arrival {
  // Time of the arrival. For one of many tasks of a call, the time of the call.
  TimePoint now;
  TimePoint deadline = kForever;  // of the caller
  std::size_t bytes = 0;
  std::size_t bytes_behind = 0;  // held by the call while the task is parked
  // True if the caller is answered before the task is worked.
  bool promised = false;
  // Priority class and lane, for a pool that lanes share. The lane is empty
  // while the tenant is unknown.
  Priority priority = Priority::kNormal;
  std::optional<std::uint64_t> lane = 0;
};

// The pool as an arrival finds it.
struct PoolView {
  std::size_t depth = 0;  // submissions in the queue
  std::size_t capacity = 0;
  std::size_t held_bytes = 0;  // of submissions in the queue or in work
  std::size_t capacity_bytes = 0;
  std::size_t waiting = 0;  // arrivals parked before this one
  std::size_t waiting_max = 0;
  double drained_per_second = 0;  // measured; 0 if not known
};

// A policy's decision about an arrival. It is not a result: the Gate may find
// that the decision cannot be carried out, and then refuses or drops. How the
// arrival ended is a TaskResult (pool/task_result.h).
struct Verdict {
  enum class Kind { kPark, kRefuse, kDrop, kEvictOldest };

  // Park the arrival, at most until `until`. The caller's deadline ends every
  // wait, also with kForever.
  static Verdict ParkUntil(TimePoint until) { return {Kind::kPark, until}; }
  // Refuse at once: there is no room.
  static Verdict Refuse() { return {Kind::kRefuse, {}}; }
  // Answer at once that the submission is not kept.
  static Verdict Drop() { return {Kind::kDrop, {}}; }
  // Evict the oldest queued task of the same method and lane that may be
  // dropped, and more such tasks if the arrival needs more bytes. If that does
  // not make room, drop the arrival.
  static Verdict EvictOldest() { return {Kind::kEvictOldest, {}}; }

  Kind kind;
  TimePoint until;  // of kPark
  // Decision of a second policy that is asked but not obeyed (shadowed.h).
  std::optional<Kind> shadow = std::nullopt;
};
inline constexpr std::size_t kVerdictKinds = 4;

class AdmissionPolicy {
 public:
  virtual ~AdmissionPolicy() = default;

  // Called only if there is no room for the arrival.
  virtual Verdict OnFull(const Arrival& arrival,
                         const PoolView& pool) const = 0;
};

}  // namespace sluice

#endif  // SLUICE_POLICIES_ADMISSION_POLICY_H_
