// The map `methods` of the configuration: which pool, policy and moment of
// acknowledgement each RPC has.

#ifndef SLUICE_CONFIG_CONFIG_METHODS_H_
#define SLUICE_CONFIG_CONFIG_METHODS_H_

#include "config/config.h"
#include "config/config_reader.h"

namespace sluice {

// Reads `methods` of the file into config->methods. config->pools must have
// been read; it gains the pool `receipts` where GetReceipts uses it and the
// file does not have it.
void ReadMethods(ConfigSection& root, Config* config);

}  // namespace sluice

#endif  // SLUICE_CONFIG_CONFIG_METHODS_H_
