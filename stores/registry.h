// Opens stores by the name of their kind. The kinds' names and options are in
// stores/kinds/.

#ifndef SLUICE_STORES_REGISTRY_H_
#define SLUICE_STORES_REGISTRY_H_

#include <memory>
#include <string_view>

#include "absl/status/statusor.h"
#include "stores/kinds/store_kind.h"
#include "stores/store.h"

namespace sluice {

// Opens a store of the kind called `kind`. `options` must have passed the
// kind's check. Returns the errors of the store's own Open, or NOT_FOUND if
// there is no such kind. A SQLite or PostgreSQL store is not created if
// `known` shows that it existed. The store writes warnings to `log`, which may
// be empty.
absl::StatusOr<std::unique_ptr<Store>> OpenStore(std::string_view kind,
                                                 const StoreOptions& options,
                                                 SameContent same_content,
                                                 const KnownStore& known = {},
                                                 StoreLog log = {});

}  // namespace sluice

#endif  // SLUICE_STORES_REGISTRY_H_
