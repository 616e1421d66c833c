// grpc.health.v1.Health on a completion loop: whether the server takes calls.
//
// gRPC brings a health service of its own. It comes with threads that poll the
// connections beside the completion loops, and take a good part of the calls'
// events only to hand them over: without them a call costs a quarter less.

#ifndef SLUICE_SERVER_CALLS_HEALTH_SERVICE_H_
#define SLUICE_SERVER_CALLS_HEALTH_SERVICE_H_

#include <set>

#include "grpc/health/v1/health.grpc.pb.h"
#include "server/transport/completion_loop.h"

namespace sluice {

class HealthWatch;

// It knows two names, "" and that of Ingestion, and has one answer for both.
// Check of another name is NOT_FOUND, Watch of it SERVICE_UNKNOWN. What is not
// said here is of the loop's thread.
class HealthService {
 public:
  HealthService();

  // To be registered with the server.
  grpc::Service* service() { return &service_; }

  // Waits for calls on `loop`. Both must outlive the server's shutdown. Before
  // the loop starts.
  void Await(CompletionLoop* loop);

  // From now on NOT_SERVING, told to those who watch, too. From any thread,
  // once.
  void StopServing() { loop_->Post(&stop_serving_); }
  // Ends the watches, for which the server's shutdown would wait. From any
  // thread, once.
  void EndWatches() { loop_->Post(&end_watches_); }

  // What the service called `name` is told to be.
  grpc::health::v1::HealthCheckResponse::ServingStatus StatusOf(
      const std::string& name) const;
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
