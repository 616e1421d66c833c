#include "server/ingestion_server.h"

#include <algorithm>
#include <chrono>
#include <functional>
#include <string_view>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/check.h"
#include "base/time.h"
#include "config/config_change.h"
#include "grpcpp/grpcpp.h"
#include "prometheus/gauge.h"
#include "server/admin_health.h"
#include "server/build_info.h"
#include "server/metrics/connection_metrics.h"
#include "server/metrics/families.h"
#include "server/metrics/log_metrics.h"
#include "server/metrics/process_metrics.h"
#include "server/metrics/store_metrics.h"
#include "server/server_admin_backend.h"

namespace sluice {
namespace {

// Longest time that admin requests in progress get to end.
constexpr Duration kAdminPatience = std::chrono::seconds(1);
// Longest time that clients get to read the answers of their calls.
constexpr Duration kCallPatience = std::chrono::seconds(1);
// Part of the drain timeout that is reserved for batches in work.
constexpr Duration kLastBatchTime = std::chrono::seconds(1);
// Time that checks of readiness in progress get to end, and time for closing
// connections and files, at least. Together less than a second, in which the
// process ends after the drain timeout.
constexpr Duration kCheckPatienceMin = std::chrono::milliseconds(200);
constexpr Duration kClosePatienceMin = std::chrono::milliseconds(700);

}  // namespace

// --- Start ---

absl::StatusOr<std::unique_ptr<IngestionServer>> IngestionServer::Start(
    Options options) {
  const ProcessingStep step = std::move(options.step);
  const StartFlags flags = {
      .accept_damage = options.accept_damage,
      .adopt_journals = std::move(options.adopt_journals),
      .adoption_copied = std::move(options.adoption_copied)};
  const std::function<void()> before_serving =
      std::move(options.before_serving);
  std::unique_ptr<IngestionServer> server(
      new IngestionServer(std::move(options)));
  // Listen before anything is touched: a second server with the same
  // configuration fails here.
  absl::Status status = server->Listen();
  // Answer probes while journals are opened and replayed, which may take long.
  if (status.ok()) status = server->StartHttp();
  if (status.ok()) status = server->StartPools(step, flags);
  if (status.ok()) server->StartReadiness();
  if (status.ok()) server->StartMetrics();
  if (status.ok() && before_serving) before_serving();
  if (status.ok()) status = server->StartAdmin();
  if (status.ok()) status = server->StartCalls();
  if (!status.ok()) return status;
  return server;
}

IngestionServer::IngestionServer(Options options)
    : config_(std::move(options.config)),
      clock_(options.clock),
      store_(std::move(options.store)),
      registry_(std::make_shared<prometheus::Registry>()),
      reload_metrics_(registry_.get()),
      running_(config_),
      recent_(config_.limits.recent_ids,
              [store = store_.get()] { return store->Generation(); }),
      http_(std::move(options.http)) {}

absl::Status IngestionServer::Listen() {
  auto acceptor =
      ConnectionAcceptor::Listen(config_.listen, config_.limits.connections);
  if (!acceptor.ok()) {
    return absl::UnavailableError(
        absl::StrCat("listen: ", acceptor.status().message()));
  }
  acceptor_ = *std::move(acceptor);
  return absl::OkStatus();
}

absl::Status IngestionServer::StartPools(const ProcessingStep& step,
                                         const StartFlags& flags) {
  auto pools = Pools::Start(config_, step,
                            {.store = store_.get(),
                             .clock = clock_,
                             .recent = &recent_,
                             .registry = registry_.get(),
                             .accept_damage = flags.accept_damage,
                             .adopt_journals = flags.adopt_journals,
                             .adoption_copied = flags.adoption_copied});
  if (!pools.ok()) return pools.status();
  pools_ = *std::move(pools);
  methods_ = std::make_unique<Methods>(config_, *pools_, &recent_, &leftovers_,
                                       registry_.get());
  // Replay before calls arrive: new submissions must queue up behind those that
  // were acknowledged earlier.
  return replay_.Begin(*pools_, *methods_);
}

absl::Status IngestionServer::StartHttp() {
  if (http_ != nullptr) return absl::OkStatus();
  auto http = HttpEndpoint::Start({.address = config_.metrics});
  if (!http.ok()) return http.status();
  http_ = *std::move(http);
  return absl::OkStatus();
}

void IngestionServer::StartMetrics() {
  AddGauge("sluice_build_info", "The versions of this server; always 1.",
           {{"version", kVersion}, {"grpc_version", grpc::Version()}},
           registry_.get())
      ->Set(1);
  pool_metrics_ = methods_->MakePoolMetrics(config_, *pools_);
  http_->SetContent(
      {.metrics = {registry_, pool_metrics_,
                   std::make_shared<ConnectionMetrics>(acceptor_),
                   std::make_shared<ProcessMetrics>(),
                   std::make_shared<LogMetrics>(),
                   std::make_shared<StoreMetrics>([store = store_.get()] {
                     std::vector<std::pair<std::string, bool>> hazards;
                     for (StoreHazard& hazard : store->Hazards()) {
                       hazards.emplace_back(std::move(hazard.name),
                                            hazard.present);
                     }
                     return hazards;
                   })},
       .readiness = [readiness = readiness_.get()](std::string_view method) {
         return readiness->Answer(method);
       }});
}

void IngestionServer::StartReadiness() {
  readiness_ = std::make_unique<Readiness>(
      Readiness::OptionsFor(*pools_, *methods_, store_.get()));
  // The first clients and probes then get the truth, unless a check hangs.
  readiness_->AwaitFirst(SystemClock()->Now() + ToMonotonic(Store::kCheckMax));
}

absl::Status IngestionServer::StartAdmin() {
  if (config_.admin.empty()) return absl::OkStatus();
  admin_backend_ = std::make_unique<ServerAdminBackend>(
      store_.get(), pools_.get(), methods_.get(), config_.backup_directory);
  auto health = std::make_unique<AdminHealth>(
      [readiness = readiness_.get()](const std::string& name) {
        return readiness->Serving(name);
      });
  AdminHealth* const refreshed = health.get();
  auto admin = AdminServer::Start(config_.admin, admin_backend_.get(),
                                  std::move(health));
  if (!admin.ok()) return admin.status();
  admin_ = *std::move(admin);
  readiness_->AddListener([refreshed] { refreshed->Refresh(); });
  return absl::OkStatus();
}

absl::Status IngestionServer::StartCalls() {
  auto calls = CallServer::Start(
      config_, *methods_,
      [readiness = readiness_.get()](const std::string& name) {
        return readiness->Serving(name);
      },
      acceptor_.get());
  if (!calls.ok()) return calls.status();
  calls_ = *std::move(calls);
  readiness_->AddListener([calls = calls_.get()] { calls->RefreshHealth(); });
  return absl::OkStatus();
}

int IngestionServer::metrics_port() const { return http_->port(); }

int IngestionServer::admin_port() const {
  return admin_ == nullptr ? 0 : admin_->port();
}

std::map<std::string, PoolSnapshot> IngestionServer::Snapshots() const {
  return pools_->Snapshots();
}

// --- Reload ---

absl::StatusOr<std::vector<std::string>> IngestionServer::Apply(
    const Config& fresh) {
  absl::MutexLock lock(&apply_mutex_);
  if (draining_) return absl::UnavailableError("draining");
  ConfigChange change = ChangeConfig(running_, fresh);
  pools_->Resize(change.config);
  methods_->Apply(running_, change.config, pool_metrics_.get());
  running_ = std::move(change.config);
  reload_metrics_.Succeeded();
  return std::move(change.needs_restart);
}

// --- Drain ---

DrainReport IngestionServer::Drain() {
  SLUICE_DCHECK(!drained_);
  const TimePoint begun = clock_->Now();
  const Duration timeout = ToMonotonic(BeginDrain());
  const TimePoint deadline = begun + timeout;
  std::vector<std::string> hangs =
      EndWork(deadline - std::min(kLastBatchTime, timeout / 10), deadline);
  // A thread that hangs uses the pools and the store, so they must not be
  // destroyed.
  if (hangs.empty() &&
      !TakeDownWithin(std::max(TimeUntil(deadline), kClosePatienceMin))) {
    hangs.emplace_back("the closing of connections and files");
  }
  DrainReport report =
      MakeDrainReport(*pools_, *methods_, leftovers_, std::move(hangs));
  report.took = absl::FromChrono(clock_->Now() - begun);
  return report;
}

IngestionServer::~IngestionServer() {
  // Without pools, Start failed in an earlier step, and no thread runs.
  if (drained_ || pools_ == nullptr) return;
  BeginDrain();
  const TimePoint now = clock_->Now();
  EndWork(now, now);
  // Join before TakeDown: calls end only once their submissions are answered,
  // and hung workers still have some submissions.
  pools_->Join();
  TakeDown(kCallPatience);
}

absl::Duration IngestionServer::BeginDrain() {
  absl::MutexLock lock(&apply_mutex_);
  draining_ = true;
  return running_.drain_timeout;
}

std::vector<std::string> IngestionServer::EndWork(TimePoint queue_deadline,
                                                  TimePoint deadline) {
  SLUICE_DCHECK(draining_ && !drained_);
  drained_ = true;
  // From now on readiness does not change, so the listeners are not needed, and
  // the loops that they post to may end.
  if (readiness_ != nullptr) {
    readiness_->Drain();
    readiness_->RemoveListeners();
  }
  std::vector<std::string> hangs;
  // Accept no more requests of operators, because they use pools and store.
  if (admin_ != nullptr && !admin_->Shutdown(absl::FromChrono(std::min(
                               kAdminPatience, TimeUntil(deadline))))) {
    hangs.emplace_back("a request of an operator");
  }
  // Refuse new submissions and end parked ones. Queued submissions are
  // processed until the queues are empty or the time is over.
  pools_->Close(queue_deadline);
  if (calls_ != nullptr) calls_->EndStreams();
  if (!pools_->AwaitIdle(deadline)) {
    hangs.emplace_back("a worker or a journal");
  }
  if (!replay_.AwaitEnd(TimeUntil(deadline))) {
    hangs.emplace_back("the replay of a journal");
  }
  const Duration patience = std::max(TimeUntil(deadline), kCheckPatienceMin);
  if (readiness_ != nullptr &&
      !readiness_->AwaitStopped(SystemClock()->Now() + patience)) {
    hangs.emplace_back("a check of the store or of a journal");
  }
  return hangs;
}

Duration IngestionServer::TimeUntil(TimePoint deadline) const {
  return std::max(deadline - clock_->Now(), Duration::zero());
}

bool IngestionServer::TakeDownWithin(Duration patience) {
  const Duration call_patience = std::min(kCallPatience, patience / 2);
  try {
    closer_ = std::thread([this, call_patience] {
      TakeDown(call_patience);
      closed_.Notify();
    });
  } catch (const std::system_error&) {
    // No thread can be started. This thread must not close files: it could
    // wait without a limit.
    return false;
  }
  if (!closed_.WaitForNotificationWithTimeout(absl::FromChrono(patience))) {
    return false;
  }
  closer_.join();
  return true;
}

// All submissions are answered, so calls end as soon as their clients have read
// their answers.
void IngestionServer::TakeDown(Duration call_patience) {
  acceptor_->Stop();
  if (calls_ != nullptr) calls_->Shutdown(absl::FromChrono(call_patience));
  // Workers and journal writers post to the loops, so join the loops after
  // them.
  replay_.Join();
  pools_->Join();
  if (calls_ != nullptr) calls_->JoinLoops();
  // Destroy before journals and store: a check of readiness or a request of an
  // operator may still use them.
  admin_.reset();
  http_.reset();
  readiness_.reset();
  pools_->CloseJournals();
  store_.reset();
}

}  // namespace sluice
