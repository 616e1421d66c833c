// `kind: datastore`: another gRPC service that owns the database. The store is
// in stores/datastore_store.h.

#ifndef SLUICE_STORES_KINDS_DATASTORE_KIND_H_
#define SLUICE_STORES_KINDS_DATASTORE_KIND_H_

#include <cstddef>
#include <string>

#include "absl/time/time.h"
#include "stores/kinds/store_kind.h"

namespace sluice {

struct DatastoreStoreOptions {
  std::string target;  // "host:port"
  // Limit for each call, including the wait for a free place and retries.
  absl::Duration timeout = absl::Seconds(5);
  // Maximum number of batches in flight. Lookups (FindReceipts, LastSequence,
  // Read) have a separate limit of the same size.
  std::size_t max_in_flight = 8;
  // File of root certificates in PEM, for TLS. Empty: no TLS.
  std::string tls_root_certs = {};
};

DatastoreStoreOptions ReadDatastoreOptions(StoreOptionReader& reader);
StoreKind DatastoreStoreKind();

}  // namespace sluice

#endif  // SLUICE_STORES_KINDS_DATASTORE_KIND_H_
