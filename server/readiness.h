// Checks for /readyz whether the server can acknowledge submissions now.

#ifndef SLUICE_SERVER_READINESS_H_
#define SLUICE_SERVER_READINESS_H_

#include "absl/status/status.h"
#include "server/pools.h"
#include "stores/store.h"

namespace sluice {

// Returns OK if the store and all journals can accept submissions, and
// otherwise an error with the reason in one line. Thread-safe.
absl::Status CheckReadiness(const Pools& pools, Store* store);

}  // namespace sluice

#endif  // SLUICE_SERVER_READINESS_H_
