// `kind: sqlite`: an embedded database in one file. The store is in
// stores/sqlite_store.h.

#ifndef SLUICE_STORES_KINDS_SQLITE_KIND_H_
#define SLUICE_STORES_KINDS_SQLITE_KIND_H_

#include <string>

#include "absl/time/time.h"
#include "stores/kinds/store_kind.h"

namespace sluice {

struct SqliteStoreOptions {
  std::string path;
  // Time that a batch waits while another program, such as a shell, holds the
  // database's write lock. Batches that wait at the same time fail together, so
  // no batch waits longer. Three such failures open the circuit.
  absl::Duration busy_timeout = absl::Seconds(1);
};

SqliteStoreOptions ReadSqliteOptions(StoreOptionReader& reader);
StoreKind SqliteStoreKind();

}  // namespace sluice

#endif  // SLUICE_STORES_KINDS_SQLITE_KIND_H_
