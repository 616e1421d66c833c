// Opens the store of the configuration. Checks before whether a store that is
// known to other files is missing, and records its highest sequence number in a
// second place.

#ifndef SLUICE_SERVER_STORE_OPENING_H_
#define SLUICE_SERVER_STORE_OPENING_H_

#include <memory>

#include "absl/status/statusor.h"
#include "config/config.h"
#include "stores/store.h"

namespace sluice {

// Opens the store of `config`, which must be valid. With `accept_damage` the
// store is created even if other files show that it existed. Logs a new store,
// and sequence numbers that the store had and has no more. Errors name the key
// of the configuration if a local file caused them.
absl::StatusOr<std::unique_ptr<Store>> OpenConfiguredStore(const Config& config,
                                                           bool accept_damage);

}  // namespace sluice

#endif  // SLUICE_SERVER_STORE_OPENING_H_
