// grpc.health.v1.Health on the admin address.

#ifndef SLUICE_SERVER_ADMIN_HEALTH_H_
#define SLUICE_SERVER_ADMIN_HEALTH_H_

#include <memory>
#include <utility>

#include "grpcpp/server_builder.h"
#include "server/admin/admin_server.h"
#include "server/calls/health_service.h"
#include "server/transport/completion_loop.h"

namespace sluice {

// The health service with a loop of its own.
class AdminHealth final : public AdminExtension {
 public:
  explicit AdminHealth(HealthService::Lookup lookup)
      : health_(std::move(lookup)) {}

  void AddTo(grpc::ServerBuilder* builder) override {
    builder->RegisterService(health_.service());
    loop_ = std::make_unique<CompletionLoop>(builder->AddCompletionQueue());
  }
  void Start() override {
    health_.Await(loop_.get());
    loop_->Start();
  }
  void EndCalls() override { health_.EndWatches(); }
  void Join() override { loop_->Join(); }

  // Sends changes of the health to its watches. Thread-safe; must not be called
  // before Start, or after the server's shutdown has begun.
  void Refresh() { health_.Refresh(); }

 private:
  HealthService health_;
  std::unique_ptr<CompletionLoop> loop_;
};

}  // namespace sluice

#endif  // SLUICE_SERVER_ADMIN_HEALTH_H_
