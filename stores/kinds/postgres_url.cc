#include "stores/kinds/postgres_url.h"

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

// The functions below follow the functions of libpq's fe-connect.c step by step
// (conninfo_parse, conninfo_uri_parse_options, conninfo_uri_parse_params), with
// their oddities. A test compares the results with the results of libpq.

namespace sluice {
namespace {

constexpr std::string_view kKeywords[] = {
    "application_name",
    "channel_binding",
    "client_encoding",
    "connect_timeout",
    "dbname",
    "fallback_application_name",
    "gssencmode",
    "gsslib",
    "host",
    "hostaddr",
    "keepalives",
    "keepalives_count",
    "keepalives_idle",
    "keepalives_interval",
    "krbsrvname",
    "options",
    "passfile",
    "password",
    "port",
    "replication",
    "requirepeer",
    "service",
    "ssl_max_protocol_version",
    "ssl_min_protocol_version",
    "sslcert",
    "sslcompression",
    "sslcrl",
    "sslcrldir",
    "sslkey",
    "sslmode",
    "sslpassword",
    "sslrootcert",
    "sslsni",
    "target_session_attrs",
    "tcp_user_timeout",
    "user",
};

constexpr std::string_view kPrefixes[] = {"postgresql://", "postgres://"};

// Stores a setting. Returns false if libpq does not know the keyword.
bool Store(std::string_view keyword, std::string value,
           PostgresSettings& settings) {
  // An old name of a setting, which libpq still accepts.
  if (keyword == "requiressl") {
    keyword = "sslmode";
    value = value.starts_with('1') ? "require" : "prefer";
  }
  if (!std::ranges::binary_search(kKeywords, keyword)) return false;
  settings[std::string(keyword)] = std::move(value);
  return true;
}

// --- key=value pairs ---

bool IsSpace(char c) {
  return absl::ascii_isspace(static_cast<unsigned char>(c));
}

void SkipSpaces(std::string_view& text) {
  while (!text.empty() && IsSpace(text.front())) text.remove_prefix(1);
}

// Removes a value from the front of `text`: quoted, or up to a space. Returns
// nothing if the closing quote is missing.
std::optional<std::string> TakeValue(std::string_view& text) {
  const bool quoted = text.starts_with('\'');
  if (quoted) text.remove_prefix(1);
  std::string value;
  while (!text.empty()) {
    char c = text.front();
    if (quoted ? c == '\'' : IsSpace(c)) {
      text.remove_prefix(1);
      return value;
    }
    text.remove_prefix(1);
    if (c == '\\') {
      if (text.empty()) break;
      c = text.front();
      text.remove_prefix(1);
    }
    value += c;
  }
  if (quoted) return std::nullopt;
  return value;
}

std::optional<PostgresSettings> ParsePairs(std::string_view text) {
  PostgresSettings settings;
  for (SkipSpaces(text); !text.empty(); SkipSpaces(text)) {
    // Spaces are allowed between the keyword and the equals sign only.
    const auto* const end = std::ranges::find_if(
        text, [](char c) { return c == '=' || IsSpace(c); });
    const std::string_view keyword(
        text.data(), static_cast<std::size_t>(end - text.begin()));
    text.remove_prefix(keyword.size());
    SkipSpaces(text);
    if (!text.starts_with('=')) return std::nullopt;
    text.remove_prefix(1);
    SkipSpaces(text);
    std::optional<std::string> value = TakeValue(text);
    if (!value || !Store(keyword, *std::move(value), settings)) {
      return std::nullopt;
    }
  }
  return settings;
}

// --- URIs ---

// Decodes percent escapes. Returns nothing if an escape is malformed or encodes
// NUL.
std::optional<std::string> Decode(std::string_view text) {
  std::string decoded;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      decoded += text[i];
      continue;
    }
    const std::string_view digits = text.substr(i + 1, 2);
    if (digits.size() < 2 || !std::ranges::all_of(digits, [](unsigned char c) {
          return absl::ascii_isxdigit(c);
        })) {
      return std::nullopt;
    }
    const std::string byte =
        absl::HexStringToBytes({digits.data(), digits.size()});
    if (byte.front() == '\0') return std::nullopt;
    decoded += byte;
    i += 2;
  }
  return decoded;
}

// Stores a part of a URI unless it is empty.
bool StoreDecoded(std::string_view keyword, std::string_view text,
                  PostgresSettings& settings) {
  if (text.empty()) return true;
  std::optional<std::string> value = Decode(text);
  return value.has_value() && Store(keyword, *std::move(value), settings);
}

// Removes and returns the text before the first of the characters `ends`.
std::string_view TakeUntil(std::string_view ends, std::string_view& text) {
  const std::string_view taken =
      text.substr(0, std::min(text.find_first_of(ends), text.size()));
  text.remove_prefix(taken.size());
  return taken;
}

// Removes "user:password@" from the front, if present. A slash ends the search
// for the '@'.
bool TakeUser(std::string_view& rest, PostgresSettings& settings) {
  const std::size_t end = rest.find_first_of("@/");
  if (end == std::string_view::npos || rest[end] != '@') return true;
  const std::string_view user = TakeUntil(":@", rest);
  if (!StoreDecoded("user", user, settings)) return false;
  if (rest.starts_with(':')) {
    rest.remove_prefix(1);
    const std::string_view password = TakeUntil("@", rest);
    if (!StoreDecoded("password", password, settings)) return false;
  }
  rest.remove_prefix(1);
  return true;
}

// Removes a host, or an IPv6 address in brackets, from the front. Returns
// nothing if the address is malformed.
std::optional<std::string_view> TakeHost(std::string_view& rest) {
  if (!rest.starts_with('[')) return TakeUntil(":/?,", rest);
  rest.remove_prefix(1);
  const std::string_view address = TakeUntil("]", rest);
  if (rest.empty() || address.empty()) return std::nullopt;
  rest.remove_prefix(1);
  constexpr std::string_view kMayFollow = ":/?,";
  if (!rest.empty() &&
      kMayFollow.find(rest.front()) == std::string_view::npos) {
    return std::nullopt;
  }
  return address;
}

// Removes "host:port,host:port" from the front. Several hosts become one list.
bool TakeHosts(std::string_view& rest, PostgresSettings& settings) {
  std::string hosts;
  std::string ports;
  while (true) {
    const std::optional<std::string_view> host = TakeHost(rest);
    if (!host) return false;
    hosts += *host;
    if (rest.starts_with(':')) {
      rest.remove_prefix(1);
      ports += TakeUntil("/?,", rest);
    }
    if (!rest.starts_with(',')) break;
    rest.remove_prefix(1);
    hosts += ',';
    ports += ',';
  }
  return StoreDecoded("host", hosts, settings) &&
         StoreDecoded("port", ports, settings);
}

// Stores one "keyword=value" of a query.
bool StoreParameter(std::string_view parameter, PostgresSettings& settings) {
  const std::size_t equals = parameter.find('=');
  if (equals == std::string_view::npos ||
      parameter.find('=', equals + 1) != std::string_view::npos) {
    return false;
  }
  std::optional<std::string> keyword = Decode(parameter.substr(0, equals));
  std::optional<std::string> value = Decode(parameter.substr(equals + 1));
  if (!keyword || !value) return false;
  // JDBC's form of sslmode=require.
  if (*keyword == "ssl" && *value == "true") {
    keyword = "sslmode";
    value = "require";
  }
  return Store(*keyword, *std::move(value), settings);
}

std::optional<PostgresSettings> ParseUri(std::string_view rest) {
  PostgresSettings settings;
  if (!TakeUser(rest, settings) || !TakeHosts(rest, settings)) {
    return std::nullopt;
  }
  if (rest.starts_with('/')) {
    rest.remove_prefix(1);
    if (!StoreDecoded("dbname", TakeUntil("?", rest), settings)) {
      return std::nullopt;
    }
  }
  if (!rest.empty()) rest.remove_prefix(1);  // skip the question mark
  while (!rest.empty()) {
    if (!StoreParameter(TakeUntil("&", rest), settings)) return std::nullopt;
    if (!rest.empty()) rest.remove_prefix(1);
  }
  return settings;
}

}  // namespace

std::optional<PostgresSettings> ParsePostgresUrl(std::string_view url) {
  for (const std::string_view prefix : kPrefixes) {
    if (url.starts_with(prefix)) return ParseUri(url.substr(prefix.size()));
  }
  return ParsePairs(url);
}

std::optional<std::string> CheckPostgresUrl(std::string_view url) {
  constexpr char kExample[] =
      "postgresql://sluice@db.example.org/epro?sslmode=verify-full";
  std::optional<PostgresSettings> settings;
  if (!url.empty() && url.find('\0') == std::string_view::npos) {
    settings = ParsePostgresUrl(url);
  }
  if (!settings) {
    return absl::StrCat("must be the URL of a PostgreSQL database, such as ",
                        kExample);
  }
  for (const char* secret : {"password", "sslpassword"}) {
    if (!settings->contains(secret)) continue;
    return absl::StrCat(
        "must not contain a ", secret,
        ", since configurations are printed; use a password file (passfile or "
        "PGPASSFILE) or the environment variable PGPASSWORD");
  }
  return std::nullopt;
}

}  // namespace sluice
