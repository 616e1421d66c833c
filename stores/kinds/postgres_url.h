// Checks the URL of a PostgreSQL database by the rules of libpq 15, but without
// libpq, so that programs without a database library can check a configuration.

#ifndef SLUICE_STORES_KINDS_POSTGRES_URL_H_
#define SLUICE_STORES_KINDS_POSTGRES_URL_H_

#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace sluice {

// Settings of a connection. The keys are libpq's keywords.
using PostgresSettings = std::map<std::string, std::string>;

// Parses `url`, a URI ("postgresql://...") or `key=value` pairs, exactly as
// PQconninfoParse does. Returns nothing if `url` is malformed or has a keyword
// that libpq 15 does not know. Values are not checked.
std::optional<PostgresSettings> ParsePostgresUrl(std::string_view url);

// Returns what is wrong with `url`, or nothing if libpq accepts it. A password
// is an error. The error text does not repeat the URL, which may contain a
// password.
std::optional<std::string> CheckPostgresUrl(std::string_view url);

}  // namespace sluice

#endif  // SLUICE_STORES_KINDS_POSTGRES_URL_H_
