// What a simulation has shown, in sentences.

#ifndef SLUICE_TOOLS_SIM_SUMMARY_H_
#define SLUICE_TOOLS_SIM_SUMMARY_H_

#include <string>
#include <vector>

#include "tools/sim/result.h"

namespace sluice {

// What would have been enough for a pool.
struct PoolNeeds {
  // That bear the busiest interval as it comes.
  std::size_t workers = 0;
  // What would gather at most if all waited that the present workers do not
  // bear: submissions, by the store's mean times.
  double backlog = 0;
  // How long the last of them would wait, seconds; infinity where the run ends
  // before the backlog does.
  double backlog_seconds = 0;
};

PoolNeeds NeedsOf(const SimulationResult& result, const PoolResult& pool);

// The index of the interval in which most submissions came.
std::size_t PeakOf(const PoolResult& pool);

// The run as a whole first, then the sources where there are several, and then
// each pool: a paragraph each.
std::vector<std::string> Summarize(const SimulationResult& result);

}  // namespace sluice

#endif  // SLUICE_TOOLS_SIM_SUMMARY_H_
