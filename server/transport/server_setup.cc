#include "server/transport/server_setup.h"

#include <memory>

#include "grpcpp/grpcpp.h"
#include "grpcpp/resource_quota.h"

namespace sluice {
namespace {

// A connection without a complete HTTP/2 handshake is closed after this time.
constexpr absl::Duration kHandshakeTimeout = absl::Seconds(20);
// A peer that has been silent for kKeepaliveTime is pinged. If it does not
// answer within kKeepaliveTimeout, its connection is closed and its calls end.
constexpr absl::Duration kKeepaliveTime = absl::Seconds(60);
constexpr absl::Duration kKeepaliveTimeout = absl::Seconds(20);

// Converts a duration for a channel argument, which is an int.
int ToMilliseconds(absl::Duration duration) {
  return static_cast<int>(absl::ToInt64Milliseconds(duration));
}

}  // namespace

void SetUpServer(const TransportLimits& limits, grpc::ServerBuilder* builder) {
  builder->SetMaxReceiveMessageSize(static_cast<int>(limits.message_bytes));
  grpc::ResourceQuota quota(limits.name);
  quota.Resize(limits.transport_bytes);
  quota.SetMaxThreads(limits.threads);
  builder->SetResourceQuota(quota);
  if (limits.calls_per_connection > 0) {
    builder->AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS,
                                static_cast<int>(limits.calls_per_connection));
  }

  builder->AddChannelArgument(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS,
                              ToMilliseconds(kHandshakeTimeout));
  builder->AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS,
                              ToMilliseconds(kKeepaliveTime));
  builder->AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS,
                              ToMilliseconds(kKeepaliveTimeout));
  if (limits.client_ping_interval > absl::ZeroDuration()) {
    builder->AddChannelArgument(
        GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS,
        ToMilliseconds(limits.client_ping_interval));
  }

  // Do not accept compression: gRPC would inflate a message without a limit.
  builder->SetCompressionAlgorithmSupportStatus(GRPC_COMPRESS_DEFLATE, false);
  builder->SetCompressionAlgorithmSupportStatus(GRPC_COMPRESS_GZIP, false);

  // One thread polls for the services that gRPC serves itself.
  builder->SetSyncServerOption(grpc::ServerBuilder::NUM_CQS, 1);
  builder->SetSyncServerOption(grpc::ServerBuilder::MIN_POLLERS, 1);
  builder->SetSyncServerOption(grpc::ServerBuilder::MAX_POLLERS, 1);
}

ConnectionAcceptor::TakeConnection TakeConnectionsOf(
    grpc::ServerBuilder* builder) {
  using ExternalConnectionAcceptor =
      grpc::experimental::ExternalConnectionAcceptor;
  const std::shared_ptr<ExternalConnectionAcceptor> connections =
      builder->experimental().AddExternalConnectionAcceptor(
          grpc::ServerBuilder::experimental_type::ExternalConnectionType::
              FROM_FD,
          grpc::InsecureServerCredentials());
  return [connections](int fd) {
    ExternalConnectionAcceptor::NewConnectionParameters connection;
    connection.fd = fd;
    connections->HandleNewConnection(&connection);
  };
}

}  // namespace sluice
