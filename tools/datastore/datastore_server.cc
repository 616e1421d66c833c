#include "tools/datastore/datastore_server.h"

#include <chrono>

#include "absl/strings/str_cat.h"
#include "grpcpp/resource_quota.h"
#include "grpcpp/server_builder.h"

namespace sluice {
namespace {

// Limit for a received message: more than the largest submission that can be
// configured (512 MiB) together with the values extracted from its content.
constexpr int kMessageBytesMax = 1 << 30;
// One thread for each call in flight (Sluice's limit is 1024), and some for
// gRPC.
constexpr int kThreadsMax = 1100;
// gRPC closes connections that send keepalives at shorter intervals.
constexpr int kPingIntervalMsMin = 10'000;

}  // namespace

absl::StatusOr<std::unique_ptr<DatastoreServer>> DatastoreServer::Start(
    const std::string& listen, v1::Datastore::Service* service,
    const std::shared_ptr<grpc::ServerCredentials>& credentials) {
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort(listen, credentials, &port);
  // Forbid port reuse: otherwise two servers on one port would each get some of
  // the calls.
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  builder.AddChannelArgument(
      GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS,
      kPingIntervalMsMin);
  builder.SetMaxReceiveMessageSize(kMessageBytesMax);
  grpc::ResourceQuota quota("datastore");
  quota.SetMaxThreads(kThreadsMax);
  builder.SetResourceQuota(quota);
  builder.RegisterService(service);
  std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  if (server == nullptr || port == 0) {
    return absl::UnavailableError(absl::StrCat("cannot listen on ", listen));
  }
  return std::unique_ptr<DatastoreServer>(
      new DatastoreServer(std::move(server), port));
}

DatastoreServer::~DatastoreServer() {
  server_->Shutdown(gpr_time_from_seconds(1, GPR_TIMESPAN));
}

}  // namespace sluice
