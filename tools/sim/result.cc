#include "tools/sim/result.h"

#include <algorithm>

namespace sluice {

ResultCounts RefusalsOf(const MethodCounters& counters) {
  ResultCounts refusals;
  for (const TaskResult reason : kRefusals) {
    refusals[reason] = counters.not_admitted[reason];
  }
  // The Gate counts submissions that it refuses from the queue as admitted, so
  // add them here.
  refusals[TaskResult::kHopeless] += counters.completed[TaskResult::kHopeless];
  return refusals;
}

SubmissionCounts& SubmissionCounts::operator+=(const SubmissionCounts& other) {
  submissions += other.submissions;
  attempts += other.attempts;
  refusals += other.refusals;
  answered += other.answered;
  late += other.late;
  refused += other.refused;
  dropped += other.dropped;
  left += other.left;
  returning += other.returning;
  return *this;
}

bool MethodResult::Balanced() const {
  const std::uint64_t acknowledged =
      promised ? counters.admitted : counters.completed[TaskResult::kStored];
  // With ack: queued, the callers of admitted submissions are already answered.
  const std::uint64_t admitted =
      promised ? 0 : counters.queued + counters.in_work;
  return counters.Balanced() && counters.received == attempts &&
         pending() == counters.waiting + admitted + returning &&
         answered + late == acknowledged &&
         refusals == RefusalsOf(counters).Sum() &&
         dropped == counters.not_admitted[TaskResult::kDropped] +
                        counters.completed[TaskResult::kDropped] &&
         left == counters.not_admitted[TaskResult::kCancelled] +
                     counters.not_admitted[TaskResult::kDeadline] +
                     counters.completed[TaskResult::kCancelled];
}

bool SimulationResult::Balanced() const {
  return std::ranges::all_of(methods, &MethodResult::Balanced);
}

}  // namespace sluice
