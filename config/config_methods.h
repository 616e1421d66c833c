// Reads the map `methods` of the configuration: pool, policy and
// acknowledgement mode of each RPC.

#ifndef SLUICE_CONFIG_CONFIG_METHODS_H_
#define SLUICE_CONFIG_CONFIG_METHODS_H_

#include "config/config.h"
#include "config/config_reader.h"

namespace sluice {

// Reads `methods` into config->methods. config->pools must have been read
// before. Adds the pool `receipts` if GetReceipts uses it and the file does not
// define it.
void ReadMethods(ConfigSection& root, Config* config);

}  // namespace sluice

#endif  // SLUICE_CONFIG_CONFIG_METHODS_H_
