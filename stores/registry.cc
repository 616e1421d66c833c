#include "stores/registry.h"

#include <algorithm>
#include <iterator>

#include "stores/datastore_store.h"
#include "stores/discard_store.h"
#include "stores/postgres_store.h"
#include "stores/sqlite_store.h"

namespace sluice {
namespace {

const StoreKind kKinds[] = {
    DatastoreStoreKind(),
    DiscardStoreKind(),
    PostgresStoreKind(),
    SqliteStoreKind(),
};

}  // namespace

std::span<const StoreKind> StoreKinds() { return kKinds; }

const StoreKind* FindStoreKind(std::string_view name) {
  const auto* kind = std::ranges::find(kKinds, name, &StoreKind::name);
  return kind == std::end(kKinds) ? nullptr : kind;
}

}  // namespace sluice
