#include "stores/postgres_durability.h"

#include <cstddef>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"

namespace sluice {
namespace {

// Name and text of each hazard, in the order of HazardsOf.
struct Meaning {
  const char* name;
  const char* text;
};
constexpr Meaning kMeanings[] = {
    {"replication_off",
     "synchronous_standby_names is empty: commits wait for no standby, so an "
     "acknowledgement does not survive the loss of the primary"},
    {"fsync_off",
     "fsync is off: an acknowledgement does not survive a power cut, and a "
     "power cut may damage the database"},
    {"full_page_writes_off",
     "full_page_writes is off: a power cut may damage the database"},
    {"synchronous_commit_off",
     "synchronous_commit is not on: an acknowledgement may be lost"},
};

std::vector<StoreHazard> HazardsOf(const PostgresDurability& durability,
                                   bool expects_replication) {
  return {{kMeanings[0].name, expects_replication && !durability.replicates},
          {kMeanings[1].name, !durability.fsync},
          {kMeanings[2].name, !durability.full_page_writes},
          {kMeanings[3].name, !durability.synchronous_commit}};
}

}  // namespace

const char* const kPostgresDurability =
    "SELECT current_setting('synchronous_standby_names') <> '',"
    " current_setting('transaction_read_only') = 'on',"
    " current_setting('fsync') = 'on',"
    " current_setting('full_page_writes') = 'on',"
    " current_setting('synchronous_commit') IN ('on', 'remote_apply')";

PostgresDurability ReadPostgresDurability(const PostgresResult& result) {
  return {.replicates = result.BoolAt(0, 0),
          .read_only = result.BoolAt(0, 1),
          .fsync = result.BoolAt(0, 2),
          .full_page_writes = result.BoolAt(0, 3),
          .synchronous_commit = result.BoolAt(0, 4)};
}

PostgresDurabilityWatch::PostgresDurabilityWatch(bool require_replication,
                                                 StoreLog log)
    : require_replication_(require_replication),
      log_(std::move(log)),
      hazards_(HazardsOf({}, /*expects_replication=*/false)) {}

absl::Status PostgresDurabilityWatch::Observe(
    const PostgresDurability& durability) {
  // Hold the lock while logging, so that changes are logged in their order.
  absl::MutexLock lock(&mutex_);
  replicated_ = replicated_ || durability.replicates;
  std::vector<StoreHazard> hazards =
      HazardsOf(durability, require_replication_ || replicated_);
  const char* first = nullptr;
  for (std::size_t i = 0; i < hazards.size(); ++i) {
    if (hazards[i].present && first == nullptr) first = kMeanings[i].text;
    if (hazards[i].present == hazards_[i].present || !log_) continue;
    if (hazards[i].present) {
      log_(StoreSeverity::kError,
           absl::StrCat("PostgreSQL: ", kMeanings[i].text,
                        require_replication_
                            ? ". Submissions are refused until this is "
                              "changed (store.require_replication)"
                            : ""));
    } else {
      log_(StoreSeverity::kInfo,
           absl::StrCat("PostgreSQL: no longer: ", kMeanings[i].text));
    }
  }
  hazards_ = std::move(hazards);
  if (!require_replication_ || first == nullptr) return absl::OkStatus();
  return absl::UnavailableError(absl::StrCat("PostgreSQL: ", first));
}

std::vector<StoreHazard> PostgresDurabilityWatch::hazards() const {
  absl::MutexLock lock(&mutex_);
  return hazards_;
}

}  // namespace sluice
