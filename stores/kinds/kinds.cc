#include "stores/kinds/kinds.h"

#include <algorithm>
#include <iterator>

#include "stores/kinds/datastore_kind.h"
#include "stores/kinds/discard_kind.h"
#include "stores/kinds/postgres_kind.h"
#include "stores/kinds/sqlite_kind.h"

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
