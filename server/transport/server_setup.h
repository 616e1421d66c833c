// The set-up that all gRPC servers of the project share: limits on memory,
// threads and silent peers, and connections that come from a
// ConnectionAcceptor.

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
  // gRPC ends a call whose request is larger.
  std::size_t message_bytes;
  // Memory for the buffers of all connections.
  std::size_t transport_bytes;
  // Threads for the services that gRPC serves itself, such as reflection.
  int threads;
  // Calls in progress on one connection; 0: gRPC's default.
  std::size_t calls_per_connection = 0;
  // Shortest interval at which a client may ping a connection without calls;
  // zero: gRPC's default.
  absl::Duration client_ping_interval = absl::ZeroDuration();
};

// Applies the limits to `builder`. Compressed messages are not accepted.
// Reflection is enabled by linking its library (CMakeLists.txt).
void SetUpServer(const TransportLimits& limits, grpc::ServerBuilder* builder);

// Makes the server that `builder` builds take its connections, without TLS,
// from the returned function. Call the function once the server has started;
// it may be called from several threads.
ConnectionAcceptor::TakeConnection TakeConnectionsOf(
    grpc::ServerBuilder* builder);

}  // namespace sluice

#endif  // SLUICE_SERVER_TRANSPORT_SERVER_SETUP_H_
