#include "server/ingestion_server.h"

#include <algorithm>
#include <chrono>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "config/config_change.h"
#include "grpc/grpc.h"
#include "grpcpp/ext/proto_server_reflection_plugin.h"
#include "grpcpp/grpcpp.h"
#include "grpcpp/resource_quota.h"
#include "prometheus/gauge.h"
#include "server/admin/journal_quarantine.h"
#include "server/build_info.h"
#include "server/calls/bulk_call.h"
#include "server/calls/submit_call.h"
#include "server/metrics/process_metrics.h"
#include "spdlog/spdlog.h"

namespace sluice {
namespace {

// Calls that wait for a request at the same time, on each queue. More of them
// cost memory and cache, fewer let requests wait inside gRPC.
constexpr int kAwaitedSubmits = 32;
constexpr int kAwaitedOthers = 8;

// gRPC itself ends a call with a larger message. It is well above
// limits.message_bytes, so that the caller of a merely too large one is told
// which limit it broke.
constexpr std::size_t kTransportMessageBytes = std::size_t{128} << 20;

// Threads for the reflection service, which gRPC serves itself.
constexpr int kServiceThreads = 8;

// A connection that has not said what it wants by then is closed.
constexpr absl::Duration kHandshakeTimeout = absl::Seconds(20);
// A peer that says nothing for the first is asked whether it is there, and
// taken for gone after the second.
constexpr absl::Duration kKeepaliveTime = absl::Seconds(60);
constexpr absl::Duration kKeepaliveTimeout = absl::Seconds(20);
constexpr absl::Duration kAdminPatience = absl::Seconds(1);
// Of the drain's time, what is kept for work that has begun.
constexpr absl::Duration kLastBatchTime = absl::Seconds(1);

void LogHang(const std::string& pool, const WorkerHang& hang) {
  spdlog::error("a worker hangs: pool={} age_seconds={:.1f} tasks={}", pool,
                std::chrono::duration<double>(hang.age).count(), hang.tasks);
}

std::size_t LoopCount(const Config& config) {
  if (config.completion_queues > 0) return config.completion_queues;
  return std::clamp<std::size_t>(std::thread::hardware_concurrency() / 2, 1, 8);
}

int Milliseconds(absl::Duration duration) {
  return static_cast<int>(absl::ToInt64Milliseconds(duration));
}

void SetLimits(const Config& config, grpc::ServerBuilder* builder) {
  const LimitsConfig& limits = config.limits;
  builder->SetMaxReceiveMessageSize(static_cast<int>(
      std::max(kTransportMessageBytes, 2 * limits.message_bytes)));
  grpc::ResourceQuota quota("sluice");
  quota.Resize(limits.transport_bytes);
  quota.SetMaxThreads(kServiceThreads);
  builder->SetResourceQuota(quota);
  builder->AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS,
                              static_cast<int>(limits.calls_per_connection));
  builder->AddChannelArgument(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS,
                              Milliseconds(kHandshakeTimeout));
  builder->AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS,
                              Milliseconds(kKeepaliveTime));
  builder->AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS,
                              Milliseconds(kKeepaliveTimeout));
  // gRPC would unpack a small message into a large one without a bound.
  builder->SetCompressionAlgorithmSupportStatus(GRPC_COMPRESS_DEFLATE, false);
  builder->SetCompressionAlgorithmSupportStatus(GRPC_COMPRESS_GZIP, false);
  builder->SetSyncServerOption(grpc::ServerBuilder::NUM_CQS, 1);
  builder->SetSyncServerOption(grpc::ServerBuilder::MIN_POLLERS, 1);
  builder->SetSyncServerOption(grpc::ServerBuilder::MAX_POLLERS, 1);
}

GateLimits LimitsOf(const Config& config, const std::string& name) {
  const PoolConfig& pool = config.pools.at(name);
  return {.capacity = pool.queue_capacity,
          .capacity_bytes = pool.queue_capacity_bytes,
          .waiting_max = pool.waiting_max,
          .waiting_max_bytes = pool.waiting_max_bytes,
          .by_lane = SharedByLane(config, name)};
}

Duration ToMonotonic(absl::Duration duration) {
  return std::chrono::duration_cast<Duration>(
      absl::ToChronoNanoseconds(duration));
}

}  // namespace

// What operators see of the server.
class IngestionServer::Admin final : public AdminBackend {
 public:
  explicit Admin(IngestionServer* server) : server_(*server) {
    for (const auto& [name, pool] : server_.pools_) {
      if (pool.journal == nullptr) continue;
      quarantines_.push_back(
          {name, std::make_unique<JournalQuarantine>(pool.journal.get())});
    }
  }

  Store& store() override { return *server_.store_; }

  std::vector<PoolQuarantine> quarantines() override {
    std::vector<PoolQuarantine> all;
    for (const auto& [name, quarantine] : quarantines_) {
      all.push_back({name, quarantine.get()});
    }
    return all;
  }

  absl::Status RetryQuarantined(const std::string& pool,
                                std::int64_t sequence) override {
    return server_.RetryQuarantined(&server_.pools_.at(pool), sequence);
  }

  std::int64_t LastSequence() override { return server_.sequence_; }

  std::vector<std::int64_t> PendingSequences() override {
    std::vector<std::int64_t> all;
    const std::string& questions =
        server_.config_.method(Method::kGetReceipts).pool;
    for (const auto& [name, pool] : server_.pools_) {
      if (name == questions) continue;
      const std::vector<std::int64_t> some = pool.workers->Sequences();
      all.insert(all.end(), some.begin(), some.end());
    }
    return all;
  }

 private:
  IngestionServer& server_;
  std::vector<std::pair<std::string, std::unique_ptr<Quarantine>>> quarantines_;
};

absl::StatusOr<std::unique_ptr<IngestionServer>> IngestionServer::Start(
    Options options) {
  std::unique_ptr<IngestionServer> server(
      new IngestionServer(std::move(options)));
  absl::Status status = server->Listen();
  if (status.ok()) status = server->OpenJournals();
  if (status.ok()) status = server->FindLastSequence();
  if (!status.ok()) {
    server->pools_.clear();
    return status;
  }
  server->StartPools();
  server->BindMethods();
  status = server->Replay();
  if (status.ok()) status = server->StartMetrics();
  if (status.ok()) status = server->StartAdmin();
  if (status.ok()) status = server->StartServing();
  if (!status.ok()) return status;
  return server;
}

IngestionServer::IngestionServer(Options options)
    : config_(std::move(options.config)),
      clock_(options.clock),
      store_(std::move(options.store)),
      step_(std::move(options.step)),
      registry_(std::make_shared<prometheus::Registry>()),
      reload_metrics_(registry_.get()),
      running_(config_),
      recent_(config_.limits.recent_ids),
      submit_intake_(config_.limits),
      import_intake_(Method::kImportPatients, config_.limits),
      events_intake_(Method::kRecordEvents, config_.limits),
      lookup_intake_(config_.limits) {}

IngestionServer::~IngestionServer() {
  if (drained_) return;
  BeginDrain();
  DrainWithin(absl::ZeroDuration());
  JoinPools();
}

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

absl::Status IngestionServer::OpenJournals() {
  for (const auto& [name, config] : config_.pools) {
    Pool& pool = pools_[name];
    if (config.journal_path.empty()) continue;
    auto journal = Journal::Open(config.journal_path);
    if (!journal.ok()) {
      return absl::Status(journal.status().code(),
                          absl::StrCat("pools.", name, ".queue.path: ",
                                       journal.status().message()));
    }
    pool.journal = *std::move(journal);
  }
  return absl::OkStatus();
}

absl::Status IngestionServer::FindLastSequence() {
  absl::StatusOr<std::int64_t> last = store_->LastSequence();
  if (!last.ok()) return last.status();
  sequence_ = *last;
  for (const auto& [name, pool] : pools_) {
    if (pool.journal == nullptr) continue;
    last = pool.journal->LastSequence();
    if (!last.ok()) return last.status();
    sequence_ = std::max(sequence_.load(), *last);
  }
  return absl::OkStatus();
}

void IngestionServer::StartPools() {
  for (const auto& [name, config] : config_.pools) {
    StartPool(name, config, &pools_.at(name));
  }
}

void IngestionServer::StartPool(const std::string& name,
                                const PoolConfig& config, Pool* pool) {
  const bool answers_questions =
      name == config_.method(Method::kGetReceipts).pool;
  if (answers_questions) {
    LookupSources sources = {
        .store = store_.get(), .recent = &recent_, .journals = {}};
    for (const auto& [other, with_journal] : pools_) {
      if (with_journal.journal == nullptr) continue;
      sources.journals.push_back(with_journal.journal.get());
    }
    pool->processor = std::make_unique<LookupProcessor>(std::move(sources));
  } else {
    pool->stage_metrics = std::make_unique<StageMetrics>(name, registry_.get());
    pool->processor = std::make_unique<SubmissionProcessor>(
        store_.get(), step_, clock_, pool->stage_metrics.get());
  }
  pool->workers = std::make_unique<WorkerPool>(
      WorkerPoolOptions{
          .name = name,
          .limits = LimitsOf(config_, name),
          .workers = {.min = config.workers.min, .max = config.workers.max},
          .task_timeout = ToMonotonic(config.workers.task_timeout),
          .on_hang = [name](const WorkerHang& hang) { LogHang(name, hang); },
          .batch_max = config.batch_max,
          .methods = kMethods},
      pool->processor.get(), clock_,
      answers_questions ? &questions_ : &sequence_);
  if (pool->journal == nullptr) return;
  pool->journal_metrics =
      std::make_unique<JournalMetrics>(name, registry_.get());
  pool->journal_writer =
      std::make_unique<JournalWriter>(pool->journal.get(), pool->workers.get(),
                                      clock_, pool->journal_metrics.get());
}

void IngestionServer::BindMethods() {
  for (const Method method : kAllMethods) {
    const MethodConfig& config = config_.method(method);
    LiveMethodSettings& settings = settings_[Index(method)];
    settings.Set(
        MakeMethodSettings(config, config_.pools.at(config.pool).fair_by));
    const Pool& pool = pools_.at(config.pool);
    rpc_metrics_.push_back(
        std::make_unique<RpcMetrics>(method, registry_.get()));
    methods_[Index(method)] = {.method = method,
                               .limits = config_.limits,
                               .settings = &settings,
                               .pool = pool.workers.get(),
                               .journal = pool.journal_writer.get(),
                               .recent = &recent_,
                               .rpc_metrics = rpc_metrics_.back().get(),
                               .leftovers = &leftovers_};
  }
}

absl::Status IngestionServer::Replay() {
  for (auto& [name, into] : pools_) {
    Pool* const pool = &into;
    if (pool->journal == nullptr) continue;
    std::size_t replayed = 0;
    const absl::Status status = pool->journal->Replay([&](JournalEntry entry) {
      Requeue(pool, std::move(entry));
      ++replayed;
    });
    if (!status.ok()) return status;
    if (replayed > 0) {
      spdlog::info("replaying: pool={} entries={}", name, replayed);
    }
  }
  return absl::OkStatus();
}

void IngestionServer::Requeue(Pool* pool, JournalEntry entry) {
  const Method method =
      FindMethod(absl::StrCat(std::string(kServiceName), "/", entry.method))
          .value_or(Method::kSubmit);  // of a method that is no more
  MakeSubmissionTask(methods_[Index(method)], pool->journal_writer.get(),
                     std::move(entry))
      ->Restore(pool->workers.get());
  pool->journal_metrics->CountAppended(1);
}

absl::Status IngestionServer::RetryQuarantined(Pool* pool,
                                               std::int64_t sequence) {
  const PoolView view = pool->workers->Snapshot().view;
  if (view.depth >= view.capacity || view.held_bytes >= view.capacity_bytes) {
    return absl::ResourceExhaustedError("the queue is full");
  }
  auto entry = pool->journal->Release(sequence);
  pool->journal_metrics->SetQuarantined(pool->journal->quarantined());
  if (!entry.ok()) return entry.status();
  Requeue(pool, *std::move(entry));
  return absl::OkStatus();
}

absl::Status IngestionServer::StartMetrics() {
  prometheus::BuildGauge()
      .Name("sluice_build_info")
      .Help("What this server was built from; always 1.")
      .Register(*registry_)
      .Add({{"version", kVersion}, {"grpc_version", grpc::Version()}})
      .Set(1);
  std::vector<const WorkerPool*> pools;
  for (const auto& [name, pool] : pools_) pools.push_back(pool.workers.get());
  std::vector<CountedMethod> counted;
  for (const MethodContext& method : methods_) {
    const MethodConfig& config = config_.method(method.method);
    counted.push_back(
        {method.method, config.on_full, config.shadow.on_full, method.pool});
  }
  pool_metrics_ =
      std::make_shared<PoolMetrics>(std::move(pools), std::move(counted));
  auto http =
      HttpEndpoint::Start({.address = config_.metrics,
                           .metrics = {registry_, pool_metrics_, acceptor_,
                                       std::make_shared<ProcessMetrics>()},
                           .readiness = [this] { return Ready(); }});
  if (!http.ok()) return http.status();
  http_ = *std::move(http);
  return absl::OkStatus();
}

absl::Status IngestionServer::StartServing() {
  grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  grpc::ServerBuilder builder;
  const std::shared_ptr<grpc::experimental::ExternalConnectionAcceptor>
      connections = builder.experimental().AddExternalConnectionAcceptor(
          grpc::ServerBuilder::experimental_type::ExternalConnectionType::
              FROM_FD,
          grpc::InsecureServerCredentials());
  builder.RegisterService(&service_);
  builder.RegisterService(health_.service());
  SetLimits(config_, &builder);
  const std::size_t loops = LoopCount(config_);
  for (std::size_t i = 0; i < loops; ++i) {
    loops_.push_back(std::make_unique<CompletionLoop>(
        builder.AddCompletionQueue(), &acceptor_->peer_sockets()));
    streams_.push_back(std::make_unique<LoopStreams>());
  }
  server_ = builder.BuildAndStart();
  if (server_ == nullptr) {
    loops_.clear();
    return absl::InternalError("gRPC does not start");
  }
  health_.Await(loops_.front().get());
  for (std::size_t i = 0; i < loops; ++i) {
    AwaitCalls(i);
    loops_[i]->Start();
  }
  acceptor_->Start([connections](int fd) {
    grpc::experimental::ExternalConnectionAcceptor::NewConnectionParameters
        connection;
    connection.fd = fd;
    connections->HandleNewConnection(&connection);
  });
  return absl::OkStatus();
}

void IngestionServer::AwaitCalls(std::size_t index) {
  CompletionLoop* loop = loops_[index].get();
  const auto method = [this](Method m) -> const MethodContext& {
    return methods_[Index(m)];
  };
  for (int i = 0; i < kAwaitedSubmits; ++i) {
    SubmitCall::Await(method(Method::kSubmit), submit_intake_, &service_, loop);
  }
  for (int i = 0; i < kAwaitedOthers; ++i) {
    StreamCall::Await(method(Method::kSubmitStream), submit_intake_, &service_,
                      loop, &streams_[index]->set);
    BulkCall::Await(method(Method::kImportPatients), import_intake_, &service_,
                    loop);
    BulkCall::Await(method(Method::kRecordEvents), events_intake_, &service_,
                    loop);
    LookupCall::Await(method(Method::kGetReceipts), lookup_intake_, &service_,
                      loop);
  }
}

absl::Status IngestionServer::StartAdmin() {
  if (config_.admin.empty()) return absl::OkStatus();
  admin_backend_ = std::make_unique<Admin>(this);
  auto admin = AdminServer::Start(config_.admin, admin_backend_.get());
  if (!admin.ok()) {
    return absl::Status(admin.status().code(),
                        absl::StrCat("admin: ", admin.status().message()));
  }
  admin_ = *std::move(admin);
  return absl::OkStatus();
}

int IngestionServer::metrics_port() const { return http_->port(); }

int IngestionServer::admin_port() const {
  return admin_ == nullptr ? 0 : admin_->port();
}

absl::Status IngestionServer::Ready() const {
  if (draining_) return absl::UnavailableError("draining");
  for (const auto& [name, pool] : pools_) {
    const PoolSnapshot snapshot = pool.workers->Snapshot();
    const bool tries = snapshot.view.depth + snapshot.in_work > 0;
    // Where nothing is there to try the store with, and nobody sends anything
    // because of this answer, the circuit does not close: the store is asked.
    if (snapshot.circuit_open && tries) {
      return absl::UnavailableError("the store fails");
    }
    if (pool.journal == nullptr) continue;
    absl::Status journal = pool.journal->Check();
    if (!journal.ok()) return journal;
  }
  return store_->Check();
}

absl::StatusOr<std::vector<std::string>> IngestionServer::Apply(
    const Config& fresh) {
  absl::MutexLock lock(&apply_mutex_);
  if (draining_) return absl::UnavailableError("draining");
  ConfigChange change = ChangeConfig(running_, fresh);
  ApplyPools(change.config);
  ApplyMethods(running_, change.config);
  running_ = std::move(change.config);
  reload_metrics_.Succeeded();
  return std::move(change.needs_restart);
}

void IngestionServer::ApplyPools(const Config& config) {
  for (const auto& [name, pool] : config.pools) {
    WorkerPool& workers = *pools_.at(name).workers;
    workers.Resize(LimitsOf(config, name), pool.batch_max);
    workers.SetWorkers({.min = pool.workers.min, .max = pool.workers.max});
  }
}

void IngestionServer::ApplyMethods(const Config& before, const Config& config) {
  for (const Method method : kAllMethods) {
    const MethodConfig& now = config.method(method);
    const FairBy fair_by = config.pools.at(now.pool).fair_by;
    if (now == before.method(method) &&
        fair_by == before.pools.at(now.pool).fair_by) {
      continue;
    }
    settings_[Index(method)].Set(MakeMethodSettings(now, fair_by));
    if (now.on_full != before.method(method).on_full) {
      pool_metrics_->SetPolicy(method, now.on_full);
    }
    if (now.shadow.on_full != before.method(method).shadow.on_full) {
      pool_metrics_->SetShadow(method, now.shadow.on_full);
    }
  }
}

absl::Duration IngestionServer::BeginDrain() {
  absl::MutexLock lock(&apply_mutex_);
  draining_ = true;
  return running_.drain_timeout;
}

DrainReport IngestionServer::Drain() { return DrainWithin(BeginDrain()); }

DrainReport IngestionServer::DrainWithin(absl::Duration timeout) {
  drained_ = true;
  const absl::Time begun = absl::Now();
  const TimePoint deadline = clock_->Now() + ToMonotonic(timeout);
  const TimePoint queue_deadline =
      deadline - ToMonotonic(std::min(kLastBatchTime, timeout / 10));

  // An operator's request that hangs in the store is left to hang.
  const bool admin_hangs =
      admin_ != nullptr && !admin_->Shutdown(kAdminPatience);
  if (server_ != nullptr) health_.StopServing();

  // New work is refused and parked calls are ended, while work goes on until
  // its queue is empty or its time is over.
  for (const auto& [name, pool] : pools_) pool.workers->Close(queue_deadline);
  EndStreams();
  bool stuck = false;
  for (const auto& [name, pool] : pools_) {
    stuck |= !pool.workers->AwaitIdle(deadline);
  }
  if (stuck || admin_hangs) return Report(begun, /*stuck=*/true);

  // Every call is answered by now; a client that does not take its answer is
  // not waited for.
  if (acceptor_ != nullptr) acceptor_->Stop();
  if (server_ != nullptr) {
    health_.EndWatches();
    server_->Shutdown(std::chrono::system_clock::now() +
                      std::chrono::seconds(1));
  }
  JoinPools();
  for (const auto& loop : loops_) loop->Join();

  const DrainReport report = Report(begun, /*stuck=*/false);
  for (auto& [name, pool] : pools_) pool.journal.reset();
  store_.reset();
  http_.reset();
  return report;
}

void IngestionServer::JoinPools() {
  for (const auto& [name, pool] : pools_) {
    pool.workers->Join();
    if (pool.journal_writer != nullptr) pool.journal_writer->Join();
  }
}

void IngestionServer::EndStreams() {
  for (std::size_t i = 0; i < loops_.size(); ++i) {
    loops_[i]->Post(streams_[i].get());
  }
}

void IngestionServer::LoopStreams::OnLoop() {
  set.draining = true;
  for (StreamCall* stream : set.streams) stream->Drain();
}

DrainReport IngestionServer::Report(absl::Time begun, bool stuck) const {
  DrainReport report;
  report.took = absl::Now() - begun;
  report.stuck = stuck;
  report.left = leftovers_.All();
  report.journaled = leftovers_.journaled();
  if (rpc_metrics_.empty()) return report;  // it never came to start them
  const auto snapshots = Snapshots();
  for (const MethodContext& method : methods_) {
    report.methods.push_back(
        {method.method,
         snapshots.at(method.pool->name()).counters[Index(method.method)]});
  }
  for (const auto& metrics : rpc_metrics_) {
    report.calls_left += metrics->in_flight();
  }
  if (!stuck) return report;
  for (const auto& [name, pool] : pools_) {
    if (name == config_.method(Method::kGetReceipts).pool) continue;
    pool.workers->VisitInWork([&](const Task& task) {
      const auto& submission = static_cast<const SubmissionTask&>(task);
      if (submission.in_journal()) {
        ++report.journaled;
      } else {
        report.left.push_back(submission.Identity());
      }
    });
  }
  return report;
}

std::map<std::string, PoolSnapshot> IngestionServer::Snapshots() const {
  std::map<std::string, PoolSnapshot> snapshots;
  for (const auto& [name, pool] : pools_) {
    snapshots[name] = pool.workers->Snapshot();
  }
  return snapshots;
}

}  // namespace sluice
