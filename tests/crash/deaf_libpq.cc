// A library that is preloaded into the server, and hides the warnings of
// PostgreSQL from it. A campaign must find that the server then acknowledges
// commits whose wait for a standby was cancelled.

#include <libpq-fe.h>

extern "C" __attribute__((visibility("default"))) PQnoticeReceiver
PQsetNoticeReceiver(PGconn* /*connection*/, PQnoticeReceiver /*receiver*/,
                    void* /*argument*/) {
  return nullptr;
}
