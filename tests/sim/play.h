// Runs the simulator with files that are given as text.

#ifndef SLUICE_TESTS_SIM_PLAY_H_
#define SLUICE_TESTS_SIM_PLAY_H_

#include <string>
#include <vector>

#include "tools/sim/result.h"

namespace sluice {

// Returns a configuration with one pool, `main`, and the discard store.
std::string ConfigYaml(const std::string& pool, const std::string& methods);

// Returns the result of a simulation. Errors in the files, or counters that do
// not balance, fail the test.
SimulationResult Play(const std::string& config_yaml,
                      const std::string& traffic_yaml);

// Returns the source named `name`, which must exist.
const SourceResult& SourceOf(const SimulationResult& result,
                             const std::string& name);

// Results of the only pool between two times of the run, which must be
// multiples of the report's interval.
struct WorkDone {
  double answered = 0;  // submissions answered in time
  // Number of submissions that would have been stored if all workers had been
  // busy all the time, computed from the actual times of batches.
  double borne = 0;
};
WorkDone DoneBetween(const SimulationResult& result, double from_seconds,
                     double to_seconds);

// Returns the distributions of service times to simulate. Sanitizer builds use
// only one: they are ten times slower, and the code is the same for all
// distributions.
std::vector<std::string> SimulatedJitters();

}  // namespace sluice

#endif  // SLUICE_TESTS_SIM_PLAY_H_
