#include "server/call_server.h"

#include <algorithm>
#include <thread>
#include <utility>

#include "grpcpp/grpcpp.h"
#include "server/calls/bulk_call.h"
#include "server/calls/lookup_call.h"
#include "server/calls/submit_call.h"
#include "server/transport/server_setup.h"

namespace sluice {
namespace {

// Number of calls of a method that wait for a request, on each loop. With more,
// memory and cache misses increase. With fewer, requests wait inside gRPC.
constexpr int kAwaitedSubmits = 32;
constexpr int kAwaitedOthers = 8;

// gRPC ends a call with a larger message. This limit is well above
// limits.message_bytes, so that a message slightly too large gets Sluice's own
// error, which names the limit.
constexpr std::size_t kTransportMessageBytes = std::size_t{128} << 20;

// Threads for the reflection service, which gRPC serves itself.
constexpr int kServiceThreads = 8;

std::size_t LoopCount(const Config& config) {
  if (config.completion_queues > 0) return config.completion_queues;
  return std::clamp<std::size_t>(std::thread::hardware_concurrency() / 2, 1, 8);
}

}  // namespace

absl::StatusOr<std::unique_ptr<CallServer>> CallServer::Start(
    const Config& config, const Methods& methods, HealthService::Lookup health,
    ConnectionAcceptor* acceptor) {
  std::unique_ptr<CallServer> server(
      new CallServer(config.limits, std::move(health)));
  grpc::ServerBuilder builder;
  SetUpServer({.name = "sluice",
               .message_bytes = std::max(kTransportMessageBytes,
                                         2 * config.limits.message_bytes),
               .transport_bytes = config.limits.transport_bytes,
               .threads = kServiceThreads,
               .calls_per_connection = config.limits.calls_per_connection},
              &builder);
  auto take_connection = TakeConnectionsOf(&builder);
  builder.RegisterService(&server->service_);
  builder.RegisterService(server->health_.service());
  const std::size_t loops = LoopCount(config);
  for (std::size_t i = 0; i < loops; ++i) {
    server->loops_.push_back(std::make_unique<CompletionLoop>(
        builder.AddCompletionQueue(), &acceptor->peer_sockets()));
    server->streams_.push_back(std::make_unique<LoopStreams>());
  }
  server->server_ = builder.BuildAndStart();
  if (server->server_ == nullptr) {
    return absl::InternalError("gRPC does not start");
  }
  server->health_.Await(server->loops_.front().get());
  for (std::size_t i = 0; i < loops; ++i) {
    server->AwaitCalls(methods, server->loops_[i].get(),
                       server->streams_[i].get());
    server->loops_[i]->Start();
  }
  // Must be the last step, because calls may arrive from now on.
  acceptor->Start(std::move(take_connection));
  return server;
}

CallServer::CallServer(const LimitsConfig& limits, HealthService::Lookup health)
    : submit_intake_(limits),
      import_intake_(Method::kImportPatients, limits),
      events_intake_(Method::kRecordEvents, limits),
      lookup_intake_(limits),
      health_(std::move(health)) {}

void CallServer::AwaitCalls(const Methods& methods, CompletionLoop* loop,
                            LoopStreams* streams) {
  for (int i = 0; i < kAwaitedSubmits; ++i) {
    SubmitCall::Await(methods[Method::kSubmit], submit_intake_, &service_,
                      loop);
  }
  for (int i = 0; i < kAwaitedOthers; ++i) {
    StreamCall::Await(methods[Method::kSubmitStream], submit_intake_, &service_,
                      loop, &streams->set);
    BulkCall::Await(methods[Method::kImportPatients], import_intake_, &service_,
                    loop);
    BulkCall::Await(methods[Method::kRecordEvents], events_intake_, &service_,
                    loop);
    LookupCall::Await(methods[Method::kGetReceipts], lookup_intake_, &service_,
                      loop);
  }
}

void CallServer::EndStreams() {
  for (std::size_t i = 0; i < loops_.size(); ++i) {
    loops_[i]->Post(streams_[i].get());
  }
}

void CallServer::LoopStreams::OnLoop() {
  set.draining = true;
  for (StreamCall* stream : set.streams) stream->Drain();
}

void CallServer::Shutdown(absl::Duration patience) {
  // End the watches first: a watch lasts until its client ends it, and Shutdown
  // would wait.
  health_.EndWatches();
  server_->Shutdown(
      gpr_time_from_nanos(absl::ToInt64Nanoseconds(patience), GPR_TIMESPAN));
}

void CallServer::JoinLoops() {
  for (const auto& loop : loops_) loop->Join();
}

}  // namespace sluice
