// The gRPC server for callers: sluice.v1.Ingestion and grpc.health.v1.Health on
// completion loops, and reflection.

#ifndef SLUICE_SERVER_CALL_SERVER_H_
#define SLUICE_SERVER_CALL_SERVER_H_

#include <cstddef>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "config/config.h"
#include "grpcpp/server.h"
#include "server/calls/health_service.h"
#include "server/calls/intake.h"
#include "server/calls/raw_service.h"
#include "server/calls/stream_call.h"
#include "server/methods.h"
#include "server/transport/completion_loop.h"
#include "server/transport/connection_acceptor.h"

namespace sluice {

// Must be used by one thread, except RefreshHealth. Call EndStreams, Shutdown
// and JoinLoops once each, in this order.
class CallServer {
 public:
  // Starts `acceptor` and serves its connections. `methods` and `acceptor` must
  // outlive the server. The health service reports what `health` returns.
  static absl::StatusOr<std::unique_ptr<CallServer>> Start(
      const Config& config, const Methods& methods,
      HealthService::Lookup health, ConnectionAcceptor* acceptor);

  CallServer(const CallServer&) = delete;
  CallServer& operator=(const CallServer&) = delete;

  // Sends changes of the health to its watches. Does not wait. Thread-safe; not
  // to be called after Shutdown has begun.
  void RefreshHealth() { health_.Refresh(); }

  // Makes streams stop reading and end once their receipts are sent. Does not
  // wait.
  void EndStreams();

  // Ends all calls. Cancels calls that have not ended after `patience` because
  // their client does not read. All submissions of the calls must have been
  // answered before.
  void Shutdown(absl::Duration patience);

  // Joins the loops' threads. Nothing may be posted to a loop after this.
  void JoinLoops();

 private:
  // The streams of one loop. As a loop task, it ends the streams.
  struct LoopStreams final : public LoopTask {
    void OnLoop() override;

    StreamSet set;
  };

  CallServer(const LimitsConfig& limits, HealthService::Lookup health);

  void AwaitCalls(const Methods& methods, CompletionLoop* loop,
                  LoopStreams* streams);

  const SubmitIntake submit_intake_;
  const BulkIntake import_intake_;
  const BulkIntake events_intake_;
  const LookupIntake lookup_intake_;

  RawService service_;
  HealthService health_;
  // One entry for each of `loops_`.
  std::vector<std::unique_ptr<LoopStreams>> streams_;
  std::vector<std::unique_ptr<CompletionLoop>> loops_;
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace sluice

#endif  // SLUICE_SERVER_CALL_SERVER_H_
