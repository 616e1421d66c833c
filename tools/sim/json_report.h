// The numbers of a simulation as JSON.

#ifndef SLUICE_TOOLS_SIM_JSON_REPORT_H_
#define SLUICE_TOOLS_SIM_JSON_REPORT_H_

#include <string>

#include "tools/sim/result.h"

namespace sluice {

// One object and a newline. Times are in seconds, those of windows since the
// start of the run.
std::string JsonReport(const SimulationResult& result);

}  // namespace sluice

#endif  // SLUICE_TOOLS_SIM_JSON_REPORT_H_
