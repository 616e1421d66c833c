// `kind: postgres`: a PostgreSQL database that several servers may share. The
// store is in stores/postgres_store.h.

#ifndef SLUICE_STORES_KINDS_POSTGRES_KIND_H_
#define SLUICE_STORES_KINDS_POSTGRES_KIND_H_

#include <cstdint>
#include <string>

#include "absl/time/time.h"
#include "stores/kinds/store_kind.h"

namespace sluice {

struct PostgresStoreOptions {
  static constexpr std::int64_t kServerMax = 1023;

  std::string url;  // must pass CheckPostgresUrl
  // Number of this server, from 0 to kServerMax. Servers that share a database
  // need different numbers: sequence_series.h derives sequences from it.
  std::int64_t server = 0;
  // True to acknowledge nothing while commits are not replicated to synchronous
  // standbys, or are not durable on the primary.
  bool require_replication = false;
  // Time limit of each call, including connecting (postgres_store.h).
  absl::Duration timeout = absl::Seconds(5);
};

PostgresStoreOptions ReadPostgresOptions(StoreOptionReader& reader);
StoreKind PostgresStoreKind();

}  // namespace sluice

#endif  // SLUICE_STORES_KINDS_POSTGRES_KIND_H_
