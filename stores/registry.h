// The kinds of store by the names that the configuration uses.

#ifndef SLUICE_STORES_REGISTRY_H_
#define SLUICE_STORES_REGISTRY_H_

#include <span>
#include <string_view>

#include "stores/store_kind.h"

namespace sluice {

// All kinds, by name in alphabetical order.
std::span<const StoreKind> StoreKinds();

// Null where no kind has that name.
const StoreKind* FindStoreKind(std::string_view name);

}  // namespace sluice

#endif  // SLUICE_STORES_REGISTRY_H_
