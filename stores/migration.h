// Migrates a database from an older schema version to the newest version. Does
// not depend on the kind of database.
//
// A step migrates from one version to the next. A step may take many
// transactions, so that neither memory nor a write-ahead log grows with the
// data. The last transaction of a step also sets the version. After a crash, an
// incomplete step therefore runs again, and a complete step does not. A step
// must recognise the work of its earlier transactions and continue after it.
//
// Before a step that needs many transactions, add a separate step that changes
// the tables. The database then has a new version, so an older program refuses
// the half-migrated database.

#ifndef SLUICE_STORES_MIGRATION_H_
#define SLUICE_STORES_MIGRATION_H_

#include <cstdint>
#include <functional>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"

namespace sluice {

struct MigrationStep {
  // The step leads from this version to the next one.
  std::int64_t from_version = 0;
  // Does a limited part of the work within a transaction. Returns true after
  // the last part.
  std::function<absl::StatusOr<bool>()> run;
};

// A database with a schema version. Not thread-safe.
class VersionedDatabase {
 public:
  virtual ~VersionedDatabase() = default;

  // Names the database in the log.
  virtual std::string Name() const = 0;
  virtual absl::StatusOr<std::int64_t> Version() = 0;
  // Runs `part` in a transaction, and commits it. If `part` returns true, the
  // transaction also sets the version. Returns the result of `part`. After an
  // error nothing is changed.
  virtual absl::StatusOr<bool> InTransaction(
      absl::FunctionRef<absl::StatusOr<bool>()> part,
      std::int64_t next_version) = 0;
  // Number of rows that were inserted, changed or deleted since the object was
  // created, for the log.
  virtual std::int64_t rows_changed() const = 0;
};

// Runs the steps that the database needs, beginning with the step from its
// version. Logs the start, the progress and the end of each step. `steps`
// must be sorted by version, without gaps. Returns FAILED_PRECONDITION if the
// database is older than the first step.
absl::Status Migrate(VersionedDatabase& database,
                     absl::Span<const MigrationStep> steps);

}  // namespace sluice

#endif  // SLUICE_STORES_MIGRATION_H_
