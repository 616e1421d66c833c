// Opens the store of the configuration. First checks whether a missing store
// existed before: other files may show this. Records the highest sequence
// number of the store in a second place (sequence_file.h).

#ifndef SLUICE_SERVER_STORE_OPENING_H_
#define SLUICE_SERVER_STORE_OPENING_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "config/config.h"
#include "stores/store.h"

namespace sluice {

// Returns the key of the configuration that says where the store is, for
// errors.
std::string StoreKey(const StoreConfig& store);

// Opens the store of `config`, which must be valid. With `accept_damage` the
// store is created even if other files show that it existed. Logs if the store
// is new, and which sequence numbers the store lacks. Errors name the key of
// the configuration.
absl::StatusOr<std::unique_ptr<Store>> OpenConfiguredStore(const Config& config,
                                                           bool accept_damage);

}  // namespace sluice

#endif  // SLUICE_SERVER_STORE_OPENING_H_
