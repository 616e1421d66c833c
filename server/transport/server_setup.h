// Set-up that all gRPC servers of the project share: limits on memory, threads
// and silent peers, and connections that come from a ConnectionAcceptor.

#ifndef SLUICE_SERVER_TRANSPORT_SERVER_SETUP_H_
#define SLUICE_SERVER_TRANSPORT_SERVER_SETUP_H_

#include <cstddef>
#include <string>

#include "absl/time/time.h"
#include "grpcpp/server_builder.h"
#include "server/transport/connection_acceptor.h"

namespace sluice {

struct TransportLimits {
  // Name of the server's resource quota.
  std::string name;
  // Size limit of a request. gRPC ends a call with a larger request.
  std::size_t message_bytes;
  // Memory limit for the buffers of all connections.
  std::size_t transport_bytes;
  // Number of threads for the services that gRPC serves itself, such as
  // reflection.
  int threads;
  // Limit for the calls in progress on one connection; 0 means gRPC's default.
  std::size_t calls_per_connection = 0;
  // Shortest interval at which a client may ping a connection without calls;
  // zero means gRPC's default.
  absl::Duration client_ping_interval = absl::ZeroDuration();
};

// Applies the limits to `builder`. Compressed messages are not accepted.
// Reflection is enabled by linking its library (CMakeLists.txt).
void SetUpServer(const TransportLimits& limits, grpc::ServerBuilder* builder);

// Lets the server take its connections, without TLS, from the returned
// function. Call the function only after the server has started. It may be
// called from several threads.
ConnectionAcceptor::TakeConnection TakeConnectionsOf(
    grpc::ServerBuilder* builder);

}  // namespace sluice

#endif  // SLUICE_SERVER_TRANSPORT_SERVER_SETUP_H_
