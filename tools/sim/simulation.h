// Runs traffic through the Gates and policies of a configuration on virtual
// time.

#ifndef SLUICE_TOOLS_SIM_SIMULATION_H_
#define SLUICE_TOOLS_SIM_SIMULATION_H_

#include <functional>

#include "absl/status/statusor.h"
#include "config/config.h"
#include "loadgen/traffic/traffic.h"
#include "tools/sim/result.h"

namespace sluice {

// Called now and then with the completed fraction of the run, 0 to 1. May be
// empty.
using SimulationProgress = std::function<void(double)>;

// Simulates `traffic` on a server with `config`. Both must have been parsed
// without errors. The same input gives the same result. Returns
// RESOURCE_EXHAUSTED if more than 5 million callers are active at one time.
absl::StatusOr<SimulationResult> Simulate(
    const Config& config, const Traffic& traffic,
    const SimulationProgress& progress = nullptr);

}  // namespace sluice

#endif  // SLUICE_TOOLS_SIM_SIMULATION_H_
