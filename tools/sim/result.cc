#include "tools/sim/result.h"

#include <algorithm>

namespace sluice {

std::uint64_t MethodResult::pending() const {
  // Those that were acknowledged are at an end for their callers.
  const std::uint64_t admitted =
      promised ? 0 : counters.queued + counters.in_work;
  return counters.waiting + admitted + returning;
}

bool MethodResult::Balanced() const {
  const auto completed = [this](Outcome outcome) {
    return counters.completed[static_cast<std::size_t>(outcome)];
  };
  const std::uint64_t ended = answered + late + refused + dropped + left;
  const std::uint64_t acknowledged =
      promised ? counters.admitted : completed(Outcome::kStored);
  return counters.Balanced() && counters.received == attempts &&
         submissions == ended + pending() && answered + late == acknowledged &&
         dropped == counters.dropped + completed(Outcome::kDropped) &&
         left == counters.abandoned_cancelled + counters.abandoned_deadline +
                     completed(Outcome::kAbandoned);
}

bool SimulationResult::Balanced() const {
  return std::ranges::all_of(methods, &MethodResult::Balanced);
}

}  // namespace sluice
