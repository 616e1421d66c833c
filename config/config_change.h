// What of a new configuration a running server can take over. Pure: who
// carries it out is IngestionServer::Apply. docs/operations.md has the table of
// what can change live.

#ifndef SLUICE_CONFIG_CONFIG_CHANGE_H_
#define SLUICE_CONFIG_CONFIG_CHANGE_H_

#include <string>
#include <vector>

#include "config/config.h"

namespace sluice {

struct ConfigChange {
  // What to run from now on: the new values of what can change live, the old
  // ones of everything else.
  Config config;
  // The keys, e.g. pools.clinical.queue.path, whose new values need a restart;
  // each once, in the order of Config.
  std::vector<std::string> needs_restart;
};

// Both must be valid; what comes out is valid too. A live value that would not
// be right beside an old one that stays (`ack: queued` for a pool that gets its
// journal with the restart) waits for the restart as well.
ConfigChange ChangeConfig(const Config& running, const Config& fresh);

}  // namespace sluice

#endif  // SLUICE_CONFIG_CONFIG_CHANGE_H_
