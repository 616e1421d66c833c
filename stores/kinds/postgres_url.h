// Checks the URL of a PostgreSQL database as libpq 15 would, without libpq, so
// that a configuration can be checked by programs that have no database.

#ifndef SLUICE_STORES_KINDS_POSTGRES_URL_H_
#define SLUICE_STORES_KINDS_POSTGRES_URL_H_

#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace sluice {

// Settings of a connection, by libpq's keyword.
using PostgresSettings = std::map<std::string, std::string>;

// Parses `url`, a URI ("postgresql://...") or `key=value` pairs, exactly as
// PQconninfoParse does. Returns nothing if `url` is malformed or has a keyword
// that libpq 15 does not know. Values are not checked.
std::optional<PostgresSettings> ParsePostgresUrl(std::string_view url);

// Returns what is wrong with `url`, or nothing if libpq can connect with it.
// The error does not repeat the URL, which may hold a password. A password is
// an error too.
std::optional<std::string> CheckPostgresUrl(std::string_view url);

}  // namespace sluice

#endif  // SLUICE_STORES_KINDS_POSTGRES_URL_H_
