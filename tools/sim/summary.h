// Summarizes a simulation in sentences.

#ifndef SLUICE_TOOLS_SIM_SUMMARY_H_
#define SLUICE_TOOLS_SIM_SUMMARY_H_

#include <string>
#include <vector>

#include "tools/sim/result.h"

namespace sluice {

// Workers and queue that a pool would have needed.
struct PoolNeeds {
  // Workers that would keep up with the busiest interval.
  std::size_t workers = 0;
  // Largest backlog, in submissions, if all submissions beyond the capacity of
  // the configured workers waited. By the store's mean times.
  double backlog = 0;
  // Seconds that the last submission of the backlog would wait. Infinity if the
  // run ends before the backlog is processed.
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
