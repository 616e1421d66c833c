// Brings a database from an older schema version to the newest one. Common to
// SQLite files and PostgreSQL.
//
// A step leads from one version to the next. It may take many transactions, so
// that neither memory nor a log grows with the data. Its last transaction also
// sets the version, so that after a crash the step goes on where it stopped,
// and no step runs again once it is complete. A step must therefore recognise
// what its earlier transactions have done.
//
// A step that needs many transactions follows a step of its own that changes
// the tables. An older program then already refuses the database by its
// version.

#ifndef SLUICE_STORES_MIGRATION_H_
#define SLUICE_STORES_MIGRATION_H_

#include <cstdint>
#include <functional>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"

namespace sluice {

struct MigrationStep {
  // The step leads from this version to the next one.
  std::int64_t from_version = 0;
  // Does a limited part of the work, within a transaction. Returns true if that
  // was the last part.
  std::function<absl::StatusOr<bool>()> run;
};

// A database with a schema version. Not thread-safe.
class VersionedDatabase {
 public:
  virtual ~VersionedDatabase() = default;

  virtual absl::StatusOr<std::int64_t> Version() = 0;
  // Runs `part` in a transaction, and commits it. If `part` returns true, the
  // transaction also sets the version. Returns the result of `part`. After an
  // error nothing is changed.
  virtual absl::StatusOr<bool> InTransaction(
      absl::FunctionRef<absl::StatusOr<bool>()> part,
      std::int64_t next_version) = 0;
};

// Runs the steps from the database's version on. `steps` must be in the order
// of their versions and without gaps. FAILED_PRECONDITION if no step leads from
// the database's version, which is not the newest.
absl::Status Migrate(VersionedDatabase& database,
                     absl::Span<const MigrationStep> steps);

}  // namespace sluice

#endif  // SLUICE_STORES_MIGRATION_H_
