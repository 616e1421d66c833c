#include "tools/sim/result.h"

#include <algorithm>
#include <numeric>

namespace sluice {

std::array<std::uint64_t, kRefusalReasons> RefusalsOf(
    const MethodCounters& counters) {
  std::array<std::uint64_t, kRefusalReasons> refusals = counters.rejected;
  // The Gate has counted these as admitted.
  refusals[static_cast<std::size_t>(RefusalReason::kHopeless)] +=
      counters.completed[static_cast<std::size_t>(Outcome::kHopeless)];
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
  const auto completed = [this](Outcome outcome) {
    return counters.completed[static_cast<std::size_t>(outcome)];
  };
  const std::uint64_t acknowledged =
      promised ? counters.admitted : completed(Outcome::kStored);
  // Those that were acknowledged are at an end for their callers.
  const std::uint64_t admitted =
      promised ? 0 : counters.queued + counters.in_work;
  const auto reasons = RefusalsOf(counters);
  const std::uint64_t rejected =
      std::accumulate(reasons.begin(), reasons.end(), std::uint64_t{0});
  return counters.Balanced() && counters.received == attempts &&
         pending() == counters.waiting + admitted + returning &&
         answered + late == acknowledged && refusals == rejected &&
         dropped == counters.dropped + completed(Outcome::kDropped) &&
         left == counters.abandoned_cancelled + counters.abandoned_deadline +
                     completed(Outcome::kAbandoned);
}

bool SimulationResult::Balanced() const {
  return std::ranges::all_of(methods, &MethodResult::Balanced);
}

}  // namespace sluice
