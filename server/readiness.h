// Checks if the server can acknowledge submissions now, for /readyz.

#ifndef SLUICE_SERVER_READINESS_H_
#define SLUICE_SERVER_READINESS_H_

#include "absl/status/status.h"
#include "server/pools.h"
#include "stores/store.h"

namespace sluice {

// OK if the store and all journals can take submissions. Otherwise an error
// that says why not, in one line. Thread-safe.
absl::Status CheckReadiness(const Pools& pools, Store* store);

}  // namespace sluice

#endif  // SLUICE_SERVER_READINESS_H_
