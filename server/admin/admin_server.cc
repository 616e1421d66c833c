#include "server/admin/admin_server.h"

#include <chrono>
#include <cstddef>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "grpcpp/grpcpp.h"
#include "server/admin/admin_service.h"
#include "server/transport/connection_acceptor.h"
#include "server/transport/server_setup.h"

namespace sluice {
namespace {

// Requests contain ids and numbers only.
constexpr std::size_t kRequestBytesMax = std::size_t{1} << 20;
constexpr std::size_t kTransportBytesMax = std::size_t{64} << 20;
// `sluicectl export` pings the server while it waits for a slow store.
constexpr absl::Duration kClientPingInterval = absl::Seconds(10);

constexpr absl::Duration kDestructorPatience = absl::Seconds(5);

static_assert(AdminService::kExportsMax < AdminServer::kThreads,
              "exports must leave threads to other calls");

}  // namespace

struct AdminServer::Parts {
  Parts(std::unique_ptr<ConnectionAcceptor> listener, AdminBackend* backend,
        std::unique_ptr<AdminExtension> more)
      : service(backend),
        extension(std::move(more)),
        acceptor(std::move(listener)) {}

  AdminService service;
  const std::unique_ptr<AdminExtension> extension;  // may be null
  std::unique_ptr<ConnectionAcceptor> acceptor;
  std::unique_ptr<grpc::Server> server;
  absl::Notification down;
};

absl::StatusOr<std::unique_ptr<AdminServer>> AdminServer::Start(
    const std::string& address, AdminBackend* backend,
    std::unique_ptr<AdminExtension> extension) {
  auto acceptor = ConnectionAcceptor::Listen(address, kConnectionsMax);
  if (!acceptor.ok()) {
    return absl::UnavailableError(
        absl::StrCat("admin: ", acceptor.status().message()));
  }
  auto parts = std::make_shared<Parts>(*std::move(acceptor), backend,
                                       std::move(extension));

  grpc::ServerBuilder builder;
  SetUpServer({.name = "admin",
               .message_bytes = kRequestBytesMax,
               .transport_bytes = kTransportBytesMax,
               .threads = kThreads,
               .client_ping_interval = kClientPingInterval},
              &builder);
  auto take_connection = TakeConnectionsOf(&builder);
  builder.RegisterService(&parts->service);
  if (parts->extension != nullptr) parts->extension->AddTo(&builder);
  parts->server = builder.BuildAndStart();
  if (parts->server == nullptr) {
    return absl::InternalError("admin: gRPC does not start");
  }
  if (parts->extension != nullptr) parts->extension->Start();
  parts->acceptor->Start(std::move(take_connection));
  return std::unique_ptr<AdminServer>(new AdminServer(std::move(parts)));
}

AdminServer::AdminServer(std::shared_ptr<Parts> parts)
    : parts_(std::move(parts)) {}

AdminServer::~AdminServer() {
  // If a call hangs, the shutdown thread waits for the call and owns the parts.
  if (!Shutdown(kDestructorPatience)) shutdown_.detach();
}

int AdminServer::port() const { return parts_->acceptor->port(); }

bool AdminServer::Shutdown(absl::Duration patience) {
  if (!shutdown_.joinable() && !parts_->down.HasBeenNotified()) {
    parts_->acceptor->Stop();
    // Use another thread, because gRPC waits without a limit for all calls to
    // return.
    try {
      shutdown_ = std::thread([parts = parts_] {
        AdminExtension* const extension = parts->extension.get();
        if (extension != nullptr) extension->EndCalls();
        parts->server->Shutdown(gpr_inf_past(GPR_CLOCK_MONOTONIC));
        if (extension != nullptr) extension->Join();
        parts->down.Notify();
      });
    } catch (const std::system_error&) {
      return false;  // no thread can be started: the server counts as hanging
    }
  }
  if (!parts_->down.WaitForNotificationWithTimeout(patience)) return false;
  // Join here even if an earlier Shutdown timed out.
  if (shutdown_.joinable()) shutdown_.join();
  return true;
}

}  // namespace sluice
