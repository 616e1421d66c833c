// grpc.health.v1.Health on a completion loop: tells whether the server, a
// service or a method is ready.
//
// gRPC's own health service starts threads that poll the connections in
// competition with the completion loops. These threads take many of the calls'
// events, only to pass them on. Without them a call costs a quarter less.

#ifndef SLUICE_SERVER_CALLS_HEALTH_SERVICE_H_
#define SLUICE_SERVER_CALLS_HEALTH_SERVICE_H_

#include <atomic>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "grpc/health/v1/health.grpc.pb.h"
#include "server/transport/completion_loop.h"

namespace sluice {

class HealthWatch;

// For a name that is unknown, Check answers NOT_FOUND, and Watch sends
// SERVICE_UNKNOWN. Functions must be called on the loop's thread unless their
// comment says otherwise.
class HealthService {
 public:
  // Returns whether the service or method called `name` is ready, or nothing if
  // the name is unknown. Called on the loop's thread: must not wait.
  using Lookup = std::function<std::optional<bool>(const std::string& name)>;

  explicit HealthService(Lookup lookup);

  // Returns the service to register with the server.
  grpc::Service* service() { return &service_; }

  // Asks gRPC for calls on `loop`. Call once, before the loop starts. The
  // service and the loop must outlive the server's shutdown.
  void Await(CompletionLoop* loop);

  // Sends statuses that have changed to the watches. Call from any thread.
  void Refresh();
  // Ends all watches, because the server's shutdown would wait for them. Call
  // once, from any thread.
  void EndWatches() { loop_->Post(&end_watches_); }

  // Returns the status of the service called `name`.
  grpc::health::v1::HealthCheckResponse::ServingStatus StatusOf(
      const std::string& name) const;
  // True once watches must end.
  bool ended() const { return ended_; }

 private:
  friend class HealthCheck;
  friend class HealthWatch;

  void OnRefresh();
  void OnEndWatches();

  const Lookup lookup_;
  grpc::health::v1::Health::AsyncService service_;
  CompletionLoop* loop_ = nullptr;
  std::set<HealthWatch*> watches_;
  bool ended_ = false;
  // True from Refresh until its task runs.
  std::atomic<bool> refreshing_{false};
  MemberLoopTask<HealthService, &HealthService::OnRefresh> refresh_;
  MemberLoopTask<HealthService, &HealthService::OnEndWatches> end_watches_;
};

}  // namespace sluice

#endif  // SLUICE_SERVER_CALLS_HEALTH_SERVICE_H_
