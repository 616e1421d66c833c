// Registry of the kinds of stores, by the names that the configuration uses. A
// new kind needs a file in this folder, a line in kinds.cc, a store in stores/
// and a line in stores/registry.cc.

#ifndef SLUICE_STORES_KINDS_KINDS_H_
#define SLUICE_STORES_KINDS_KINDS_H_

#include <span>
#include <string_view>

#include "stores/kinds/store_kind.h"

namespace sluice {

// Returns all kinds, sorted by name.
std::span<const StoreKind> StoreKinds();

// Returns the kind called `name`, or null if there is none.
const StoreKind* FindStoreKind(std::string_view name);

}  // namespace sluice

#endif  // SLUICE_STORES_KINDS_KINDS_H_
