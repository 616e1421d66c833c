// Warns about connections to PostgreSQL that others could read or take over.

#ifndef SLUICE_STORES_POSTGRES_TLS_H_
#define SLUICE_STORES_POSTGRES_TLS_H_

#include <string>

namespace sluice {

// Returns a warning if `url` names a host that is not local, but does not have
// sslmode=verify-full. Otherwise returns an empty text. `url` must pass
// CheckPostgresUrl. Unix sockets and loopback addresses are local. The
// variables PGHOST, PGHOSTADDR and PGSSLMODE of the environment count as in
// libpq.
std::string PostgresTlsWarning(const std::string& url);

}  // namespace sluice

#endif  // SLUICE_STORES_POSTGRES_TLS_H_
