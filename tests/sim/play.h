// Runs of the simulator, from its files' text.

#ifndef SLUICE_TESTS_SIM_PLAY_H_
#define SLUICE_TESTS_SIM_PLAY_H_

#include <string>
#include <vector>

#include "tools/sim/result.h"

namespace sluice {

// A configuration of one pool, `main`, whose store keeps nothing.
std::string ConfigYaml(const std::string& pool, const std::string& methods);

// What becomes of it; errors in the files, and counters that do not balance,
// fail the test.
SimulationResult Play(const std::string& config_yaml,
                      const std::string& traffic_yaml);

// Of that name, which must be there.
const SourceResult& SourceOf(const SimulationResult& result,
                             const std::string& name);

// What the only pool did between two times of the run, of which an interval of
// the report must be a divisor.
struct WorkDone {
  double answered = 0;  // in time
  // What would have been stored if all workers had always been busy, in the
  // times that their batches took.
  double borne = 0;
};
WorkDone DoneBetween(const SimulationResult& result, double from_seconds,
                     double to_seconds);

// How service times are distributed: one way stands for all under a sanitizer,
// where a step costs ten times as much and the steps are the same.
std::vector<std::string> SimulatedJitters();

}  // namespace sluice

#endif  // SLUICE_TESTS_SIM_PLAY_H_
