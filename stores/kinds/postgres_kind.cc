#include "stores/kinds/postgres_kind.h"

#include <optional>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "stores/kinds/postgres_url.h"

namespace sluice {

PostgresStoreOptions ReadPostgresOptions(StoreOptionReader& reader) {
  PostgresStoreOptions options;
  if (const std::string* url = reader.Find("url")) {
    const std::optional<std::string> error = CheckPostgresUrl(*url);
    if (error.has_value()) reader.Error("url", *error);
    options.url = *url;
  } else {
    reader.Error("url", "required: the URL of the database");
  }
  if (const std::string* server = reader.Find("server")) {
    constexpr std::int64_t kMax = PostgresStoreOptions::kServerMax;
    if (!absl::SimpleAtoi(*server, &options.server) || options.server < 0 ||
        options.server > kMax) {
      reader.Error("server", absl::StrCat("must be a number from 0 to ", kMax));
    }
  }
  if (const std::string* require = reader.Find("require_replication")) {
    options.require_replication = *require == "true";
    if (*require != "true" && *require != "false") {
      reader.Error("require_replication", "must be true or false");
    }
  }
  if (const std::string* timeout = reader.Find("timeout")) {
    if (!absl::ParseDuration(*timeout, &options.timeout) ||
        options.timeout < absl::Milliseconds(100) ||
        options.timeout > absl::Minutes(1)) {
      reader.Error("timeout",
                   "must be a duration from 100ms to 1m, such as 5s");
    }
  }
  return options;
}

StoreKind PostgresStoreKind() {
  return {.name = "postgres",
          .loses = false,
          .check = CheckStoreOptions<ReadPostgresOptions>};
}

}  // namespace sluice
