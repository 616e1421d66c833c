#include "stores/migration.h"

#include "absl/strings/str_cat.h"
#include "base/check.h"

namespace sluice {

absl::Status Migrate(VersionedDatabase& database,
                     absl::Span<const MigrationStep> steps) {
  absl::StatusOr<std::int64_t> version = database.Version();
  if (!version.ok()) return version.status();
  for (const MigrationStep& step : steps) {
    SLUICE_DCHECK(&step == &steps.front() ||
                  step.from_version == (&step - 1)->from_version + 1);
    if (step.from_version < *version) continue;
    if (step.from_version > *version) {
      return absl::FailedPreconditionError(
          absl::StrCat("the database has schema version ", *version,
                       ", which is too old for this program"));
    }
    for (bool complete = false; !complete;) {
      const absl::StatusOr<bool> ran =
          database.InTransaction(step.run, step.from_version + 1);
      if (!ran.ok()) return ran.status();
      complete = *ran;
    }
    ++*version;
  }
  return absl::OkStatus();
}

}  // namespace sluice
