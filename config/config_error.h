// One problem in a configuration file, with its place.

#ifndef SLUICE_CONFIG_CONFIG_ERROR_H_
#define SLUICE_CONFIG_CONFIG_ERROR_H_

#include <string>
#include <vector>

namespace sluice {

struct ConfigError {
  int line = 0;  // counted from 1; 0 if the problem has no line
  // Path of the key, such as pools.clinical.queue.capacity; empty if the
  // problem is not about one key.
  std::string key = {};
  std::string message;

  // Returns the problem as one line of text, such as
  // "config.yaml:7: pools.clinical.queue.capacity: must be at least 1".
  std::string ToString(const std::string& file) const;
};

using ConfigErrors = std::vector<ConfigError>;

}  // namespace sluice

#endif  // SLUICE_CONFIG_CONFIG_ERROR_H_
