// A gRPC server for a Datastore service.

#ifndef SLUICE_TOOLS_DATASTORE_DATASTORE_SERVER_H_
#define SLUICE_TOOLS_DATASTORE_DATASTORE_SERVER_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "grpcpp/security/server_credentials.h"
#include "grpcpp/server.h"
#include "sluice/v1/datastore.grpc.pb.h"

namespace sluice {

class DatastoreServer {
 public:
  // Serves at `listen`, host:port. Port 0 takes any free port. `service` must
  // outlive the server. UNAVAILABLE if the server cannot listen.
  static absl::StatusOr<std::unique_ptr<DatastoreServer>> Start(
      const std::string& listen, v1::Datastore::Service* service,
      const std::shared_ptr<grpc::ServerCredentials>& credentials =
          grpc::InsecureServerCredentials());
  // Waits for calls in progress for at most one second, then cancels them.
  ~DatastoreServer();

  int port() const { return port_; }

 private:
  DatastoreServer(std::unique_ptr<grpc::Server> server, int port)
      : server_(std::move(server)), port_(port) {}

  const std::unique_ptr<grpc::Server> server_;
  const int port_;
};

}  // namespace sluice

#endif  // SLUICE_TOOLS_DATASTORE_DATASTORE_SERVER_H_
