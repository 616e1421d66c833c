// Start here: a policy decides what happens to an arrival that finds the queue
// full.
//
// A policy is a pure function of the arrival and the state of the pool. It
// holds no state, takes no lock and reads no clock, so that one object serves
// all threads. To add a policy, add a file beside this file and a line in
// registry.cc.

#ifndef SLUICE_POLICIES_ADMISSION_POLICY_H_
#define SLUICE_POLICIES_ADMISSION_POLICY_H_

#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/time.h"
#include "policies/priority.h"

namespace sluice {

struct Arrival {
  // Time of the arrival. For a task of a call with several tasks: the time of
  // the call.
  TimePoint now;
  TimePoint deadline = kForever;  // deadline of the caller
  std::size_t bytes = 0;
  std::size_t bytes_behind = 0;  // bytes held by the call while parked
  // True if the caller is answered before the task is processed.
  bool promised = false;
  // Priority class and lane, for a pool that lanes share. The lane is empty
  // while the tenant is unknown.
  Priority priority = Priority::kNormal;
  std::optional<std::uint64_t> lane = 0;
};

// State of the pool at an arrival.
struct PoolView {
  std::size_t depth = 0;  // submissions in the queue
  std::size_t capacity = 0;
  std::size_t held_bytes = 0;  // bytes of submissions in the queue or in work
  std::size_t capacity_bytes = 0;
  std::size_t waiting = 0;  // arrivals parked before this arrival
  std::size_t waiting_max = 0;
  double drained_per_second = 0;  // measured rate; 0 if not known
};

// A policy's decision about an arrival. The Gate may find that the decision
// cannot be carried out, and then refuses or drops the arrival. The final
// result is a TaskResult (pool/task_result.h).
struct Verdict {
  enum class Kind { kPark, kRefuse, kDrop, kEvictOldest };

  // Park the arrival until `until` at the latest. The caller's deadline ends
  // every wait, also if `until` is kForever.
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
  TimePoint until;  // end of the wait, for kPark
  // Decision of a second policy, which is asked only for the metrics
  // (shadowed.h).
  std::optional<Kind> shadow = std::nullopt;
};
inline constexpr std::size_t kVerdictKinds = 4;

class AdmissionPolicy {
 public:
  virtual ~AdmissionPolicy() = default;

  // Called only if there is no room for the arrival. A unary call is asked
  // about before its request is read, when its lane is unknown. If that verdict
  // does not end the call, the Gate asks again after the request was read, at a
  // later time; only the later verdict counts.
  virtual Verdict OnFull(const Arrival& arrival,
                         const PoolView& pool) const = 0;
};

}  // namespace sluice

#endif  // SLUICE_POLICIES_ADMISSION_POLICY_H_
