// Decides which values of a new configuration a running server can apply.
// IngestionServer::Apply applies them. docs/operations.md lists the values that
// can change live.

#ifndef SLUICE_CONFIG_CONFIG_CHANGE_H_
#define SLUICE_CONFIG_CONFIG_CHANGE_H_

#include <string>
#include <vector>

#include "config/config.h"

namespace sluice {

struct ConfigChange {
  // The configuration to run from now on: new values for keys that can change
  // live, old values for all other keys.
  Config config;
  // Keys whose new values need a restart, such as pools.clinical.queue.path,
  // each once, in the order of Config.
  std::vector<std::string> needs_restart;
};

// Both configurations must be valid, and so is the result. A live value that
// would be invalid together with an old value also waits for the restart.
// Example: `ack: queued` for a pool that gets its journal at the restart.
ConfigChange ChangeConfig(const Config& running, const Config& fresh);

}  // namespace sluice

#endif  // SLUICE_CONFIG_CONFIG_CHANGE_H_
