// A run of traffic through the Gates and policies of a configuration, on
// virtual time.

#ifndef SLUICE_TOOLS_SIM_SIMULATION_H_
#define SLUICE_TOOLS_SIM_SIMULATION_H_

#include <functional>

#include "absl/status/statusor.h"
#include "config/config.h"
#include "loadgen/traffic/traffic.h"
#include "tools/sim/result.h"

namespace sluice {

// Told now and then which part of the run, 0 to 1, is done; may be empty.
using SimulationProgress = std::function<void(double)>;

// Both as ParseConfig and ParseTraffic return them without errors. The same of
// both give the same result. RESOURCE_EXHAUSTED where more callers are there at
// once than a simulation holds (5 million).
absl::StatusOr<SimulationResult> Simulate(
    const Config& config, const Traffic& traffic,
    const SimulationProgress& progress = nullptr);

}  // namespace sluice

#endif  // SLUICE_TOOLS_SIM_SIMULATION_H_
