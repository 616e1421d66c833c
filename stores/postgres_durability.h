// Watches the settings of PostgreSQL on which an acknowledgement relies. An
// operator may change these settings while the server runs.

#ifndef SLUICE_STORES_POSTGRES_DURABILITY_H_
#define SLUICE_STORES_POSTGRES_DURABILITY_H_

#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "stores/postgres.h"
#include "stores/store.h"

namespace sluice {

// Settings of a session.
struct PostgresDurability {
  bool replicates = false;  // synchronous_standby_names is not empty
  bool read_only = false;   // the session must not write
  bool fsync = true;
  bool full_page_writes = true;
  bool synchronous_commit = true;  // on or remote_apply
};

// A query for ReadPostgresDurability.
extern const char* const kPostgresDurability;
// Reads the only row of kPostgresDurability.
PostgresDurability ReadPostgresDurability(const PostgresResult& result);

// Thread-safe.
class PostgresDurabilityWatch {
 public:
  // `log` may be empty.
  PostgresDurabilityWatch(bool require_replication, StoreLog log);

  // Takes settings that a session has just reported, and logs each change. With
  // `require_replication`, returns UNAVAILABLE if a commit could be lost with
  // these settings. Otherwise returns OK.
  absl::Status Observe(const PostgresDurability& durability);

  // Returns the hazards of the last settings (Store::Hazards).
  std::vector<StoreHazard> hazards() const;

 private:
  const bool require_replication_;
  const StoreLog log_;

  mutable absl::Mutex mutex_;
  // True once a session reported that PostgreSQL replicates.
  bool replicated_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<StoreHazard> hazards_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace sluice

#endif  // SLUICE_STORES_POSTGRES_DURABILITY_H_
