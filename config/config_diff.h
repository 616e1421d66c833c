// The differences of two configurations, for the log.

#ifndef SLUICE_CONFIG_CONFIG_DIFF_H_
#define SLUICE_CONFIG_CONFIG_DIFF_H_

#include <string>
#include <vector>

#include "config/config.h"

namespace sluice {

struct ConfigDifference {
  std::string key;  // such as pools.clinical.queue.capacity
  // Values as `--check` prints them; empty if the configuration does not have
  // the key.
  std::string before;
  std::string after;

  friend bool operator==(const ConfigDifference&,
                         const ConfigDifference&) = default;
};

// Returns all keys whose effective values differ, in alphabetical order. A
// configuration contains no secrets: passwords are refused when it is read.
std::vector<ConfigDifference> CompareConfigs(const Config& before,
                                             const Config& after);

}  // namespace sluice

#endif  // SLUICE_CONFIG_CONFIG_DIFF_H_
