// The map `methods` of the configuration: which pool, policy and moment of
// acknowledgement each RPC has.

#ifndef SLUICE_SERVER_CONFIG_METHODS_H_
#define SLUICE_SERVER_CONFIG_METHODS_H_

#include "server/config.h"
#include "server/config_reader.h"

namespace sluice {

// Reads `methods` of the file into config->methods. config->pools must have
// been read; it gains the pool `receipts` where GetReceipts uses it and the
// file does not have it.
void ReadMethods(ConfigSection& root, Config* config);

}  // namespace sluice

#endif  // SLUICE_SERVER_CONFIG_METHODS_H_
