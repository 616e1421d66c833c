#include "stores/kinds/postgres_kind.h"

#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "stores/kinds/postgres_url.h"
#include "stores/kinds/server_number.h"

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
    ServerNumber read = ReadServerNumber(
        *server, PostgresStoreOptions::kServerMax, SystemServerNumberSources());
    if (!read.number.has_value()) reader.Error("server", std::move(read.error));
    options.server = read.number.value_or(0);
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

namespace {

// Replaces the source of the server's number by the number.
void ResolvePostgresOptions(StoreOptions& options) {
  const auto server = options.find("server");
  if (server == options.end()) return;
  StoreOptionReader reader(options);
  server->second = absl::StrCat(ReadPostgresOptions(reader).server);
}

}  // namespace

StoreKind PostgresStoreKind() {
  return {.name = "postgres",
          .loses = false,
          .check = CheckStoreOptions<ReadPostgresOptions>,
          .resolve = ResolvePostgresOptions};
}

}  // namespace sluice
