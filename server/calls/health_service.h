// grpc.health.v1.Health on a completion loop: tells whether the server accepts
// calls.
//
// gRPC's own health service starts threads that poll the connections in
// competition with the completion loops. These threads take many of the calls'
// events, only to pass them on. Without them a call costs a quarter less.

#ifndef SLUICE_SERVER_CALLS_HEALTH_SERVICE_H_
#define SLUICE_SERVER_CALLS_HEALTH_SERVICE_H_

#include <set>

#include "grpc/health/v1/health.grpc.pb.h"
#include "server/transport/completion_loop.h"

namespace sluice {

class HealthWatch;

// Knows two names, "" and the name of Ingestion, and reports the same status
// for both. For any other name Check answers NOT_FOUND, and Watch sends
// SERVICE_UNKNOWN. Functions must be called on the loop's thread unless their
// comment says otherwise.
class HealthService {
 public:
  HealthService();

  // Returns the service to register with the server.
  grpc::Service* service() { return &service_; }

  // Asks gRPC for calls on `loop`. Call once, before the loop starts. The
  // service and the loop must outlive the server's shutdown.
  void Await(CompletionLoop* loop);

  // Changes the status to NOT_SERVING, and sends it to all watches. Call once,
  // from any thread.
  void StopServing() { loop_->Post(&stop_serving_); }
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

  void OnStopServing();
  void OnEndWatches();

  grpc::health::v1::Health::AsyncService service_;
  CompletionLoop* loop_ = nullptr;
  std::set<HealthWatch*> watches_;
  bool serving_ = true;
  bool ended_ = false;
  MemberLoopTask<HealthService, &HealthService::OnStopServing> stop_serving_;
  MemberLoopTask<HealthService, &HealthService::OnEndWatches> end_watches_;
};

}  // namespace sluice

#endif  // SLUICE_SERVER_CALLS_HEALTH_SERVICE_H_
