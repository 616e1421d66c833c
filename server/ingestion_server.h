// The whole server: store, pools, calls, completion queues, metrics.

#ifndef SLUICE_SERVER_INGESTION_SERVER_H_
#define SLUICE_SERVER_INGESTION_SERVER_H_

#include <array>
#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "config/config.h"
#include "grpcpp/server.h"
#include "pool/worker_pool.h"
#include "prometheus/registry.h"
#include "server/admin/admin_backend.h"
#include "server/admin/admin_server.h"
#include "server/calls/health_service.h"
#include "server/calls/intake.h"
#include "server/calls/lookup_call.h"
#include "server/calls/raw_service.h"
#include "server/calls/stream_call.h"
#include "server/drain_report.h"
#include "server/metrics/http_endpoint.h"
#include "server/metrics/journal_metrics.h"
#include "server/metrics/pool_metrics.h"
#include "server/metrics/reload_metrics.h"
#include "server/metrics/stage_metrics.h"
#include "server/submissions/journal_writer.h"
#include "server/submissions/leftovers.h"
#include "server/submissions/method_context.h"
#include "server/submissions/method_settings.h"
#include "server/submissions/recent_ids.h"
#include "server/submissions/submission_processor.h"
#include "server/transport/completion_loop.h"
#include "server/transport/connection_acceptor.h"
#include "stores/journal.h"
#include "stores/store.h"

namespace sluice {

class IngestionServer {
 public:
  struct Options {
    Config config;
    std::unique_ptr<Store> store;
    // Run on each submission before it is stored; may be empty.
    ProcessingStep step;
    // For tests; must outlive the server.
    Clock* clock = SystemClock();
  };

  // Serves from the time that this returns. An error names the configuration's
  // key where one is to blame.
  static absl::StatusOr<std::unique_ptr<IngestionServer>> Start(
      Options options);

  // Drains with no time left, where Drain was not called.
  ~IngestionServer();

  // Where it listens, also if the configuration leaves the port open.
  int port() const { return acceptor_->port(); }
  int metrics_port() const;
  int admin_port() const;  // 0 where the configuration has none

  // Takes over what of `fresh`, which must be valid, can change live, and
  // counts a reload. No call is lost or ended by it: those that are here go on
  // by the settings that they came with, those that arrive have the new ones. A
  // stream follows them from its next submission on. Returns the keys that need
  // a restart, as ChangeConfig does; an error, and nothing is changed, once the
  // drain has begun. Thread-safe, also against Drain.
  absl::StatusOr<std::vector<std::string>> Apply(const Config& fresh);

  // Counts a reload that brought no valid configuration.
  void CountFailedReload() { reload_metrics_.Failed(); }

  // Ends the server in order; see the function, which reads from top to bottom.
  // Takes at most the configuration's drain.timeout and a second. If workers
  // hang, report.stuck is set, the server cannot be destroyed any more, and the
  // process should end.
  DrainReport Drain();

  // Each pool at one moment, by name.
  std::map<std::string, PoolSnapshot> Snapshots() const;

 private:
  explicit IngestionServer(Options options);

  // A pool with what belongs to it, in the order of construction.
  struct Pool {
    std::unique_ptr<Journal> journal;  // null where its queue is in memory
    std::unique_ptr<StageMetrics> stage_metrics;
    std::unique_ptr<JournalMetrics> journal_metrics;
    std::unique_ptr<Processor> processor;
    std::unique_ptr<WorkerPool> workers;
    std::unique_ptr<JournalWriter> journal_writer;
  };

  absl::Status Listen();
  absl::Status OpenJournals();
  absl::Status FindLastSequence();
  void StartPools();
  void StartPool(const std::string& name, const PoolConfig& config, Pool* pool);
  void BindMethods();
  void ApplyPools(const Config& config);
  void ApplyMethods(const Config& before, const Config& config);
  // Works again what journals have kept.
  absl::Status Replay();
  void Requeue(Pool* pool, JournalEntry entry);
  absl::Status RetryQuarantined(Pool* pool, std::int64_t sequence);
  absl::Status StartMetrics();
  absl::Status StartServing();
  absl::Status StartAdmin();
  void AwaitCalls(std::size_t loop);
  // Ends reloads; how long the drain may take by the last of them.
  absl::Duration BeginDrain();
  DrainReport DrainWithin(absl::Duration timeout);
  void JoinPools();
  void EndStreams();
  DrainReport Report(absl::Time begun, bool stuck) const;
  absl::Status Ready() const;

  // As the server was started: right for ever of what cannot change live.
  const Config config_;
  Clock* const clock_;
  std::unique_ptr<Store> store_;
  const ProcessingStep step_;

  const std::shared_ptr<prometheus::Registry> registry_;
  Leftovers leftovers_;
  std::atomic<std::int64_t> sequence_{0};  // of submissions
  std::atomic<std::int64_t> questions_{0};
  // Becomes true under `apply_mutex_`, so that no reload begins after that.
  std::atomic<bool> draining_{false};
  ReloadMetrics reload_metrics_;

  // Held while a configuration is taken over. No call takes it.
  absl::Mutex apply_mutex_;
  Config running_ ABSL_GUARDED_BY(apply_mutex_);

  RecentIds recent_;
  std::map<std::string, Pool> pools_;
  std::vector<std::unique_ptr<RpcMetrics>> rpc_metrics_;
  std::array<LiveMethodSettings, kMethods> settings_;
  std::array<MethodContext, kMethods> methods_;

  const SubmitIntake submit_intake_;
  const BulkIntake import_intake_;
  const BulkIntake events_intake_;
  const LookupIntake lookup_intake_;

  // The streams of one loop. As a loop task, ends them.
  struct LoopStreams final : public LoopTask {
    void OnLoop() override;

    StreamSet set;
  };

  RawService service_;
  HealthService health_;
  std::vector<std::unique_ptr<LoopStreams>> streams_;
  std::vector<std::unique_ptr<CompletionLoop>> loops_;
  std::shared_ptr<ConnectionAcceptor> acceptor_;
  std::unique_ptr<grpc::Server> server_;
  std::shared_ptr<PoolMetrics> pool_metrics_;
  std::unique_ptr<HttpEndpoint> http_;
  class Admin;
  std::unique_ptr<Admin> admin_backend_;
  std::unique_ptr<AdminServer> admin_;
  bool drained_ = false;
};

}  // namespace sluice

#endif  // SLUICE_SERVER_INGESTION_SERVER_H_
