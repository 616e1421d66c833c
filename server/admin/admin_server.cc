#include "server/admin/admin_server.h"

#include <chrono>
#include <cstddef>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "grpcpp/ext/proto_server_reflection_plugin.h"
#include "grpcpp/grpcpp.h"
#include "grpcpp/resource_quota.h"
#include "server/admin/admin_service.h"
#include "server/transport/connection_acceptor.h"

namespace sluice {
namespace {

// Requests hold ids and numbers alone.
constexpr int kRequestBytesMax = 1 << 20;
constexpr std::size_t kTransportBytesMax = std::size_t{64} << 20;
// A peer that says nothing for the first is asked whether it is there, and
// taken for gone after the second: an export to it would hold its thread.
constexpr int kKeepaliveTimeMs = 60'000;
constexpr int kKeepaliveTimeoutMs = 20'000;
constexpr int kHandshakeTimeoutMs = 20'000;
// How often a client may ask the same.
constexpr int kClientPingsMs = 10'000;

constexpr absl::Duration kPatienceOfDestructor = absl::Seconds(5);

static_assert(AdminService::kExportsMax < AdminServer::kThreads,
              "exports must leave threads to other calls");

void SetLimits(grpc::ServerBuilder& builder) {
  builder.SetMaxReceiveMessageSize(kRequestBytesMax);
  grpc::ResourceQuota quota("admin");
  quota.Resize(kTransportBytesMax);
  quota.SetMaxThreads(AdminServer::kThreads);
  builder.SetResourceQuota(quota);
  builder.AddChannelArgument(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS,
                             kHandshakeTimeoutMs);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, kKeepaliveTimeMs);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS,
                             kKeepaliveTimeoutMs);
  builder.AddChannelArgument(
      GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, kClientPingsMs);
  // gRPC would unpack a small message into a large one without a bound.
  builder.SetCompressionAlgorithmSupportStatus(GRPC_COMPRESS_DEFLATE, false);
  builder.SetCompressionAlgorithmSupportStatus(GRPC_COMPRESS_GZIP, false);
  builder.SetSyncServerOption(grpc::ServerBuilder::NUM_CQS, 1);
  builder.SetSyncServerOption(grpc::ServerBuilder::MIN_POLLERS, 1);
  builder.SetSyncServerOption(grpc::ServerBuilder::MAX_POLLERS, 1);
}

}  // namespace

struct AdminServer::Parts {
  Parts(std::unique_ptr<ConnectionAcceptor> listener, AdminBackend* backend)
      : service(backend), acceptor(std::move(listener)) {}

  AdminService service;
  std::unique_ptr<ConnectionAcceptor> acceptor;
  std::unique_ptr<grpc::Server> server;
  absl::Notification down;
};

absl::StatusOr<std::unique_ptr<AdminServer>> AdminServer::Start(
    const std::string& address, AdminBackend* backend) {
  auto acceptor = ConnectionAcceptor::Listen(address, kConnectionsMax);
  if (!acceptor.ok()) {
    return absl::UnavailableError(
        absl::StrCat("admin: ", acceptor.status().message()));
  }
  auto parts = std::make_shared<Parts>(*std::move(acceptor), backend);

  grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  grpc::ServerBuilder builder;
  const std::shared_ptr<grpc::experimental::ExternalConnectionAcceptor>
      connections = builder.experimental().AddExternalConnectionAcceptor(
          grpc::ServerBuilder::experimental_type::ExternalConnectionType::
              FROM_FD,
          grpc::InsecureServerCredentials());
  builder.RegisterService(&parts->service);
  SetLimits(builder);
  parts->server = builder.BuildAndStart();
  if (parts->server == nullptr) {
    return absl::InternalError("admin: gRPC does not start");
  }
  parts->acceptor->Start([connections](int fd) {
    grpc::experimental::ExternalConnectionAcceptor::NewConnectionParameters
        connection;
    connection.fd = fd;
    connections->HandleNewConnection(&connection);
  });
  return std::unique_ptr<AdminServer>(new AdminServer(std::move(parts)));
}

AdminServer::AdminServer(std::shared_ptr<Parts> parts)
    : parts_(std::move(parts)) {}

AdminServer::~AdminServer() {
  // Leaves the parts to the thread that hangs, where one does.
  if (!Shutdown(kPatienceOfDestructor)) shutdown_.detach();
}

int AdminServer::port() const { return parts_->acceptor->port(); }

bool AdminServer::Shutdown(absl::Duration patience) {
  if (!shutdown_.joinable() && !parts_->down.HasBeenNotified()) {
    parts_->acceptor->Stop();
    // gRPC waits for all calls to return, however long that takes.
    shutdown_ = std::thread([parts = parts_] {
      parts->server->Shutdown(std::chrono::system_clock::now());
      parts->down.Notify();
    });
  }
  if (!parts_->down.WaitForNotificationWithTimeout(patience)) return false;
  // It may have gone down after an earlier call had lost patience.
  if (shutdown_.joinable()) shutdown_.join();
  return true;
}

}  // namespace sluice
