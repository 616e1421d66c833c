// One thing that is wrong with a configuration file, and where.

#ifndef SLUICE_CONFIG_CONFIG_ERROR_H_
#define SLUICE_CONFIG_CONFIG_ERROR_H_

#include <string>
#include <vector>

namespace sluice {

struct ConfigError {
  int line = 0;  // from 1; 0 where there is none
  // Its path, e.g. pools.clinical.queue.capacity; may be empty.
  std::string key = {};
  std::string message;

  // "config.yaml:7: pools.clinical.queue.capacity: must be at least 1"
  std::string ToString(const std::string& file) const;
};

using ConfigErrors = std::vector<ConfigError>;

}  // namespace sluice

#endif  // SLUICE_CONFIG_CONFIG_ERROR_H_
