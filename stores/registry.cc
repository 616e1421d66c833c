#include "stores/registry.h"

#include <algorithm>
#include <iterator>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "stores/datastore_store.h"
#include "stores/discard_store.h"
#include "stores/kinds/kinds.h"
#include "stores/postgres_store.h"
#include "stores/sqlite_store.h"

namespace sluice {
namespace {

using StoreOr = absl::StatusOr<std::unique_ptr<Store>>;

StoreOr OpenDiscard(
    StoreOptionReader& options,
    SameContent /*unused*/,  // NOLINT(performance-unnecessary-value-param)
    const KnownStore& /*known*/,
    StoreLog /*unused*/) {  // NOLINT(performance-unnecessary-value-param)
  return std::make_unique<DiscardStore>(ReadDiscardOptions(options));
}

// Opens a store whose options are read by `Read`.
template <typename StoreType, auto Read>
StoreOr Open(
    StoreOptionReader& options, SameContent same_content,
    const KnownStore& /*known*/,
    StoreLog /*unused*/) {  // NOLINT(performance-unnecessary-value-param)
  return StoreType::Open(Read(options), std::move(same_content));
}

StoreOr OpenPostgres(StoreOptionReader& options, SameContent same_content,
                     const KnownStore& known, StoreLog log) {
  return PostgresStore::Open(ReadPostgresOptions(options),
                             std::move(same_content), std::move(log), known);
}

StoreOr OpenSqlite(
    StoreOptionReader& options, SameContent same_content,
    const KnownStore& known,
    StoreLog /*unused*/) {  // NOLINT(performance-unnecessary-value-param)
  return SqliteStore::Open(ReadSqliteOptions(options), std::move(same_content),
                           known);
}

struct Opener {
  std::string_view kind;
  StoreOr (*open)(StoreOptionReader& options, SameContent same_content,
                  const KnownStore& known, StoreLog log);
};

constexpr Opener kOpeners[] = {
    {"datastore", Open<DatastoreStore, ReadDatastoreOptions>},
    {"discard", OpenDiscard},
    {"postgres", OpenPostgres},
    {"sqlite", OpenSqlite},
};

}  // namespace

StoreOr OpenStore(std::string_view kind, const StoreOptions& options,
                  SameContent same_content, const KnownStore& known,
                  StoreLog log) {
  const auto* opener = std::ranges::find(kOpeners, kind, &Opener::kind);
  if (opener == std::end(kOpeners)) {
    return absl::NotFoundError(
        absl::StrCat("there is no kind of store called ", std::string(kind)));
  }
  SLUICE_DCHECK(FindStoreKind(kind)->check(options).empty());
  StoreOptionReader reader(options);
  return opener->open(reader, std::move(same_content), known, std::move(log));
}

}  // namespace sluice
