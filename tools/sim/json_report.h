// The numbers of a simulation as JSON.

#ifndef SLUICE_TOOLS_SIM_JSON_REPORT_H_
#define SLUICE_TOOLS_SIM_JSON_REPORT_H_

#include <string>

#include "tools/sim/result.h"

namespace sluice {

enum class JsonStyle { kIndented, kCompact };

// Returns one object and a newline. Times are in seconds. Times of windows
// count from the start of the run. Fields may be added, never renamed:
// tools/sim/compare and simulation.js read them.
std::string JsonReport(const SimulationResult& result,
                       JsonStyle style = JsonStyle::kIndented);

}  // namespace sluice

#endif  // SLUICE_TOOLS_SIM_JSON_REPORT_H_
