// Summarizes a simulation in sentences.

#ifndef SLUICE_TOOLS_SIM_SUMMARY_H_
#define SLUICE_TOOLS_SIM_SUMMARY_H_

#include <string>
#include <vector>

#include "tools/sim/result.h"

namespace sluice {

// Number of workers and size of the queue that would have been enough for a
// pool.
struct PoolNeeds {
  // Number of workers that would keep up with the busiest interval.
  std::size_t workers = 0;
  // Largest backlog, in submissions, if the workers were as configured and all
  // submissions beyond their capacity waited. Computed from the store's mean
  // times.
  double backlog = 0;
  // Wait of the last submission of the backlog, in seconds. Infinity if the run
  // ends before the backlog is processed.
  double backlog_seconds = 0;
};

PoolNeeds NeedsOf(const SimulationResult& result, const PoolResult& pool);

// Returns the index of the interval with the most submissions.
std::size_t PeakOf(const PoolResult& pool);

// Returns a paragraph for the whole run, one for each source if there are
// several, and one for each pool.
std::vector<std::string> Summarize(const SimulationResult& result);

}  // namespace sluice

#endif  // SLUICE_TOOLS_SIM_SUMMARY_H_
