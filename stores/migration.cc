#include "stores/migration.h"

#include <chrono>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "spdlog/spdlog.h"

namespace sluice {
namespace {

constexpr std::chrono::seconds kProgressInterval{10};

// Runs the parts of a step until it is complete.
absl::Status RunStep(VersionedDatabase& database, const MigrationStep& step) {
  const std::string name = database.Name();
  spdlog::info("migrating: database={} from_version={}", name,
               step.from_version);
  auto logged_at = std::chrono::steady_clock::now();
  for (bool complete = false; !complete;) {
    const absl::StatusOr<bool> ran =
        database.InTransaction(step.run, step.from_version + 1);
    if (!ran.ok()) return ran.status();
    complete = *ran;
    const auto now = std::chrono::steady_clock::now();
    if (complete || now - logged_at < kProgressInterval) continue;
    logged_at = now;
    spdlog::info("migrating: database={} from_version={} rows={}", name,
                 step.from_version, database.rows_changed());
  }
  spdlog::info("migrated: database={} to_version={} rows={}", name,
               step.from_version + 1, database.rows_changed());
  return absl::OkStatus();
}

}  // namespace

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
    const absl::Status ran = RunStep(database, step);
    if (!ran.ok()) return ran;
    ++*version;
  }
  return absl::OkStatus();
}

}  // namespace sluice
