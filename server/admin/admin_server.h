// The gRPC server for operators, on a separate address.

#ifndef SLUICE_SERVER_ADMIN_ADMIN_SERVER_H_
#define SLUICE_SERVER_ADMIN_ADMIN_SERVER_H_

#include <memory>
#include <string>
#include <thread>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "grpcpp/server_builder.h"
#include "server/admin/admin_backend.h"

namespace sluice {

// A service on a completion queue that the admin server offers beside its own
// services. The functions are called once each, in this order. If the server
// does not start, only AddTo is called.
class AdminExtension {
 public:
  virtual ~AdminExtension() = default;

  // Adds the service and its queue to a server that will be started.
  virtual void AddTo(grpc::ServerBuilder* builder) = 0;
  // Serves calls, once the server has started.
  virtual void Start() = 0;
  // Ends calls that would last until their clients end them. Does not wait.
  virtual void EndCalls() = 0;
  // Ends the queue, once the server has shut down.
  virtual void Join() = 0;
};

// Serves the admin service and reflection, without TLS, from a few threads. A
// call that finds no free thread is answered RESOURCE_EXHAUSTED. Not
// thread-safe.
class AdminServer {
 public:
  static constexpr int kThreads = 8;
  static constexpr int kConnectionsMax = 64;

  // The server accepts calls once this has returned. `address` is as in
  // ConnectionAcceptor::Listen. `backend` must outlive the server. `extension`
  // may be null. UNAVAILABLE if the server cannot listen on the address.
  static absl::StatusOr<std::unique_ptr<AdminServer>> Start(
      const std::string& address, AdminBackend* backend,
      std::unique_ptr<AdminExtension> extension = nullptr);

  // Calls Shutdown, with a patience of 5 seconds.
  ~AdminServer();

  AdminServer(const AdminServer&) = delete;
  AdminServer& operator=(const AdminServer&) = delete;

  int port() const;

  // Accepts no more calls, cancels all calls in progress, and waits at most
  // `patience` for them. Returns false if a call still hangs in the backend;
  // the backend must then live as long as the process. May be called again.
  bool Shutdown(absl::Duration patience);

 private:
  struct Parts;

  explicit AdminServer(std::shared_ptr<Parts> parts);

  // Shared with `shutdown_`, which may outlive this object.
  const std::shared_ptr<Parts> parts_;
  std::thread shutdown_;
};

}  // namespace sluice

#endif  // SLUICE_SERVER_ADMIN_ADMIN_SERVER_H_
