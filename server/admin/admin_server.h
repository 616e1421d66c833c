// The admin service on an address of its own.

#ifndef SLUICE_SERVER_ADMIN_ADMIN_SERVER_H_
#define SLUICE_SERVER_ADMIN_ADMIN_SERVER_H_

#include <memory>
#include <string>
#include <thread>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/admin/admin_backend.h"

namespace sluice {

// Serves gRPC without TLS, with reflection, from a few threads: a call that
// finds none is answered RESOURCE_EXHAUSTED. Not thread-safe.
class AdminServer {
 public:
  static constexpr int kThreads = 8;
  static constexpr int kConnectionsMax = 64;

  // `address` as in ConnectionAcceptor::Listen. It serves from here on;
  // `backend` must outlive it. UNAVAILABLE where the address cannot be had.
  static absl::StatusOr<std::unique_ptr<AdminServer>> Start(
      const std::string& address, AdminBackend* backend);

  // Shuts down, where Shutdown was not called, with 5 seconds' patience.
  ~AdminServer();

  AdminServer(const AdminServer&) = delete;
  AdminServer& operator=(const AdminServer&) = delete;

  int port() const;

  // Takes no more calls and cancels those in progress. False: after `patience`
  // one of them still hangs in the backend, which must then live as long as the
  // process.
  bool Shutdown(absl::Duration patience);

 private:
  struct Parts;

  explicit AdminServer(std::shared_ptr<Parts> parts);

  // Shared with a shutdown that hangs.
  const std::shared_ptr<Parts> parts_;
  std::thread shutdown_;
};

}  // namespace sluice

#endif  // SLUICE_SERVER_ADMIN_ADMIN_SERVER_H_
