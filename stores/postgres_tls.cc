#include "stores/postgres_tls.h"

#include <cstdlib>
#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "stores/kinds/postgres_url.h"
#include "stores/postgres.h"

namespace sluice {
namespace {

std::string Environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

bool IsLocal(std::string_view host) {
  return host.empty() || host.starts_with('/') || host.starts_with('@') ||
         host == "localhost" || host == "::1" || host.starts_with("127.");
}

// Returns all hosts to which libpq may connect. An address counts instead of
// the name of its host.
std::vector<std::string> HostsOf(const std::string& url) {
  std::vector<std::string> hosts;
  for (const PostgresHost& host : PostgresHosts(url)) {
    hosts.push_back(host.hostaddr.empty() ? host.host : host.hostaddr);
  }
  if (hosts.size() > 1 || !hosts.front().empty()) return hosts;
  const std::string address = Environment("PGHOSTADDR");
  return absl::StrSplit(address.empty() ? Environment("PGHOST") : address, ',');
}

}  // namespace

std::string PostgresTlsWarning(const std::string& url) {
  const PostgresSettings settings = *ParsePostgresUrl(url);
  const auto found = settings.find("sslmode");
  const std::string mode =
      found == settings.end() ? Environment("PGSSLMODE") : found->second;
  if (mode == "verify-full") return "";
  std::vector<std::string> remote;
  for (const std::string& host : HostsOf(url)) {
    if (!IsLocal(host)) remote.push_back(host);
  }
  if (remote.empty()) return "";
  return absl::StrCat(
      "store.url: sslmode is ", mode.empty() ? "prefer" : mode,
      ", so nobody checks that ", absl::StrJoin(remote, ", "),
      " is the right server, and others may read patient data. Set "
      "sslmode=verify-full and sslrootcert");
}

}  // namespace sluice
