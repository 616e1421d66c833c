// The whole server: the store, the pools, the gRPC servers for callers and for
// operators, and the HTTP endpoint for metrics and probes.

#ifndef SLUICE_SERVER_INGESTION_SERVER_H_
#define SLUICE_SERVER_INGESTION_SERVER_H_

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "config/config.h"
#include "pool/worker_pool.h"
#include "prometheus/registry.h"
#include "server/admin/admin_backend.h"
#include "server/admin/admin_server.h"
#include "server/call_server.h"
#include "server/drain_report.h"
#include "server/methods.h"
#include "server/metrics/http_endpoint.h"
#include "server/metrics/pool_metrics.h"
#include "server/metrics/reload_metrics.h"
#include "server/pools.h"
#include "server/readiness.h"
#include "server/replay.h"
#include "server/submissions/leftovers.h"
#include "server/submissions/recent_ids.h"
#include "server/submissions/submission_processor.h"
#include "server/transport/connection_acceptor.h"
#include "stores/store.h"

namespace sluice {

// Not thread-safe, except Apply and Snapshots.
class IngestionServer {
 public:
  struct Options {
    Config config;
    std::unique_ptr<Store> store;
    // The endpoint at `config.metrics`, if it already answers probes. If null,
    // the server starts the endpoint.
    std::unique_ptr<HttpEndpoint> http = nullptr;
    // Runs on each submission before it is stored. May be empty.
    ProcessingStep step;
    // True to start although a journal lacks acknowledged entries or its file
    // is damaged (JournalOptions).
    bool accept_damage = false;
    // Paths of journals whose entries are moved into the journals of this
    // server (journal_adoption.h).
    std::vector<std::string> adopt_journals = {};
    // AdoptionOptions::copied, for tests.
    std::function<absl::Status()> adoption_copied = {};
    // Called before the first call can be answered. May be empty.
    std::function<void()> before_serving = {};
    // The clock, which must outlive the server. Tests may replace it.
    Clock* clock = SystemClock();
  };

  // Starts a server, which accepts calls once this has returned. If the
  // configuration caused an error, the error names the key.
  static absl::StatusOr<std::unique_ptr<IngestionServer>> Start(
      Options options);

  // If Drain was not called, drains with a timeout of zero. Waits for batches
  // in work.
  ~IngestionServer();

  IngestionServer(const IngestionServer&) = delete;
  IngestionServer& operator=(const IngestionServer&) = delete;

  // The actual ports, also if the configuration says port 0.
  int port() const { return acceptor_->port(); }
  int metrics_port() const;
  int admin_port() const;  // 0 if there is no admin address

  // Applies all keys of `fresh` that can change while the server runs, and
  // counts a reload. `fresh` must be valid. No call is lost or ended. Calls in
  // progress keep their settings; new calls get the new settings; streams get
  // them with their next submission. Returns the keys that need a restart, as
  // ChangeConfig does. Once the drain has begun, changes nothing and returns
  // UNAVAILABLE. Thread-safe, also while Drain runs.
  absl::StatusOr<std::vector<std::string>> Apply(const Config& fresh);

  // Counts a reload whose configuration was not valid. Thread-safe.
  void CountFailedReload() { reload_metrics_.Failed(); }

  // Shuts the server down in order. Takes at most drain.timeout and a second,
  // whatever hangs. If something still hangs then, report.stuck() is true: the
  // server must not be destroyed, and the process should end.
  DrainReport Drain();

  // Returns a snapshot of each pool, by name. Thread-safe.
  std::map<std::string, PoolSnapshot> Snapshots() const;

 private:
  // Options that concern the start only.
  struct StartFlags {
    bool accept_damage;
    std::vector<std::string> adopt_journals;
    std::function<absl::Status()> adoption_copied;
  };

  explicit IngestionServer(Options options);

  // The steps of Start, in order.
  absl::Status Listen();
  absl::Status StartHttp();
  absl::Status StartPools(const ProcessingStep& step, const StartFlags& flags);
  void StartReadiness();
  void StartMetrics();
  absl::Status StartAdmin();
  absl::Status StartCalls();

  // Stops reloads, and returns the drain timeout in force.
  absl::Duration BeginDrain();
  // Refuses new work, and waits until all submissions are answered and no
  // thread waits for the store or a journal, at most until `deadline`. Tasks
  // are begun until `queue_deadline`. Returns what hangs.
  std::vector<std::string> EndWork(TimePoint queue_deadline,
                                   TimePoint deadline);
  // Ends all threads, and closes journals and store. Waits for batches in work.
  // Clients get `call_patience` to read their answers.
  void TakeDown(Duration call_patience);
  // Like TakeDown, on another thread. Returns false if this takes longer than
  // `patience`.
  bool TakeDownWithin(Duration patience);
  // Returns the time until `deadline`; 0 if it has passed.
  Duration TimeUntil(TimePoint deadline) const;

  // The configuration at the start. Use it only for keys that cannot change
  // while the server runs.
  const Config config_;
  Clock* const clock_;
  std::unique_ptr<Store> store_;

  const std::shared_ptr<prometheus::Registry> registry_;
  ReloadMetrics reload_metrics_;

  // Held while a configuration is applied. No call takes this lock.
  absl::Mutex apply_mutex_;
  Config running_ ABSL_GUARDED_BY(apply_mutex_);
  // Set under `apply_mutex_`, so that no reload begins afterwards.
  std::atomic<bool> draining_{false};

  // Null until the step of Start that creates the object. A member uses only
  // members above it, so destruction in reverse order is safe.
  std::shared_ptr<ConnectionAcceptor> acceptor_;
  RecentIds recent_;
  Leftovers leftovers_;
  std::unique_ptr<Pools> pools_;
  std::unique_ptr<Methods> methods_;
  JournalReplay replay_;
  std::shared_ptr<PoolMetrics> pool_metrics_;
  std::unique_ptr<Readiness> readiness_;
  std::unique_ptr<HttpEndpoint> http_;
  std::unique_ptr<AdminBackend> admin_backend_;
  std::unique_ptr<AdminServer> admin_;
  std::unique_ptr<CallServer> calls_;
  bool drained_ = false;
  // Notified when `closer_`, which takes the server down, has done so.
  absl::Notification closed_;
  std::thread closer_;
};

}  // namespace sluice

#endif  // SLUICE_SERVER_INGESTION_SERVER_H_
