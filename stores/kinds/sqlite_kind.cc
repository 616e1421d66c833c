#include "stores/kinds/sqlite_kind.h"

#include "base/path.h"

namespace sluice {

SqliteStoreOptions ReadSqliteOptions(StoreOptionReader& reader) {
  SqliteStoreOptions options;
  const std::string* path = reader.Find("path");
  if (path == nullptr || path->empty()) {
    reader.Error("path", "required: the file of the database");
  } else if (*path == ":memory:") {
    reader.Error("path", "must be a file: memory would lose what it took");
  } else if (!NamesAFile(*path)) {
    reader.Error("path", "must be the path of a file");
  } else {
    options.path = *path;
  }
  return options;
}

StoreKind SqliteStoreKind() {
  return {.name = "sqlite",
          .loses = false,
          .check = CheckStoreOptions<ReadSqliteOptions>};
}

}  // namespace sluice
