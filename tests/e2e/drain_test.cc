// Tests the shutdown of the server: nothing acknowledged is lost, and every
// caller gets an answer.

#include <signal.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <fstream>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "gmock/gmock.h"
#include "grpc/health/v1/health.grpc.pb.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"
#include "server/ingestion_server.h"
#include "sluice/v1/admin.grpc.pb.h"
#include "tests/fakes/async_caller.h"
#include "tests/fakes/call_status.h"
#include "tests/fakes/full_server.h"
#include "tests/fakes/journal_server.h"
#include "tests/fakes/patience.h"
#include "tests/fakes/program.h"
#include "tests/fakes/raw_server.h"
#include "tests/fakes/sluice_program.h"
#include "tests/fakes/sqlite_server.h"
#include "tests/fakes/tcp_connection.h"
#include "tests/fakes/test_server.h"
#include "tests/stores/faulty_disk.h"
#include "tests/stores/store_fixture.h"

namespace sluice {
namespace {

using testing::ContainsRegex;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsSupersetOf;
using testing::SizeIs;
using testing::UnorderedElementsAre;
using v1::Receipt;

constexpr auto kUnavailable = grpc::StatusCode::UNAVAILABLE;

// Submits as fast as possible, each time with a new id, until the server
// answers that it is shutting down. Records the acknowledged ids.
class Load {
 public:
  Load(std::shared_ptr<grpc::Channel> channel, int threads)
      : stub_(v1::Ingestion::NewStub(std::move(channel))) {
    for (int i = 0; i < threads; ++i) {
      threads_.emplace_back([this, i] { Run(i); });
    }
  }
  ~Load() { Join(); }

  std::size_t acknowledged_count() const {
    absl::MutexLock lock(&mutex_);
    return acknowledged_.size();
  }
  // Waits until all callers have stopped.
  std::vector<std::string> Join() {
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
    absl::MutexLock lock(&mutex_);
    return acknowledged_;
  }

 private:
  void Run(int thread) {
    for (int i = 0;; ++i) {
      const std::string id = absl::StrCat(thread, ".", i);
      grpc::ClientContext context;
      Receipt receipt;
      const grpc::Status status =
          stub_->Submit(&context, MakeSubmit(id), &receipt);
      if (status.error_code() == kUnavailable) return;
      if (!status.ok()) continue;
      absl::MutexLock lock(&mutex_);
      acknowledged_.push_back(id);
    }
  }

  const std::unique_ptr<v1::Ingestion::Stub> stub_;
  mutable absl::Mutex mutex_;
  std::vector<std::string> acknowledged_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::thread> threads_;
};

using grpc::health::v1::Health;
using grpc::health::v1::HealthCheckRequest;
using grpc::health::v1::HealthCheckResponse;

// Returns the name of the health status, or the name of the RPC's status if the
// RPC failed.
std::string HealthOf(const TestServer& server, const std::string& name = "") {
  grpc::ClientContext context;
  HealthCheckRequest request;
  request.set_service(name);
  HealthCheckResponse response;
  const grpc::Status status =
      Health::NewStub(server.NewChannel())->Check(&context, request, &response);
  if (!status.ok()) return status.error_message();
  return HealthCheckResponse::ServingStatus_Name(response.status());
}

// A call of Health.Watch.
class Watch {
 public:
  Watch(const TestServer& server, const std::string& name)
      : stub_(Health::NewStub(server.NewChannel())) {
    HealthCheckRequest request;
    request.set_service(name);
    reader_ = stub_->Watch(&context_, request);
  }

  // Returns the next health status, or the RPC's status if the call has ended.
  std::string Next() {
    HealthCheckResponse response;
    if (!reader_->Read(&response)) return reader_->Finish().error_message();
    return HealthCheckResponse::ServingStatus_Name(response.status());
  }

  void Cancel() { context_.TryCancel(); }

 private:
  const std::unique_ptr<Health::Stub> stub_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReader<HealthCheckResponse>> reader_;
};

TEST(Drain, KeepsEveryAcknowledgedSubmission) {
  for (const Ack ack : {Ack::kStored, Ack::kQueued}) {
    Config config = SmallConfig("block", 8);
    config.pools["clinical"].workers = {.min = 2, .max = 2};
    config.methods[Index(Method::kSubmit)].ack = ack;
    TestServer server(config);
    Load load(server.NewChannel(), 16);
    AwaitThat("there is load",
              [&] { return load.acknowledged_count() >= 200; });
    // Fill the queue before the drain begins.
    server.store().Hold();
    server.AwaitQueued(8);
    std::thread release([&] {
      AwaitThat("the drain has begun",
                [&] { return server.Get("/readyz") == "draining\n"; });
      server.store().Release();
    });
    EXPECT_TRUE(server.Drain().clean());
    release.join();
    EXPECT_THAT(StoredIds(server.store()), IsSupersetOf(load.Join()));
  }
}

TEST(Health, IsKnownByTheServersNameAndByNone) {
  TestServer server(SmallConfig("block", 8));
  EXPECT_EQ(HealthOf(server), "SERVING");
  EXPECT_EQ(HealthOf(server, "sluice.v1.Ingestion"), "SERVING");
  EXPECT_EQ(HealthOf(server, "sluice.v1.Other"), "unknown service");
}

TEST(Health, WatchesReportTheDrain) {
  TestServer server(SmallConfig("block", 8));
  Watch gone(server, "");
  EXPECT_EQ(gone.Next(), "SERVING");
  gone.Cancel();
  Watch watch(server, "sluice.v1.Ingestion");
  EXPECT_EQ(watch.Next(), "SERVING");
  Watch unknown(server, "sluice.v1.Other");
  EXPECT_EQ(unknown.Next(), "SERVICE_UNKNOWN");

  std::thread drain([&] { EXPECT_TRUE(server.Drain().clean()); });
  EXPECT_EQ(watch.Next(), "NOT_SERVING");
  EXPECT_EQ(watch.Next(), "the server is shutting down");
  EXPECT_EQ(unknown.Next(), "the server is shutting down");
  drain.join();
}

TEST(Drain, RefusesNewSubmissionsAndFinishesTheQueue) {
  FullServer full(SmallConfig("block", 2));
  EXPECT_EQ(HealthOf(full.server()), "SERVING");
  full.server().AwaitReady();
  const AsyncSubmit& parked = full.Park(MakeSubmit("parked"));
  Watch watch(full.server(), "");
  EXPECT_EQ(watch.Next(), "SERVING");

  std::thread drain([&] { full.server().Drain(); });
  full.caller().Await(parked);
  EXPECT_EQ(watch.Next(), "NOT_SERVING");
  ExpectTryLater(parked.status, parked.context, kUnavailable, "DRAINING");
  const AsyncSubmit& new_one = full.caller().SubmitAndWait(MakeSubmit("new"));
  ExpectTryLater(new_one.status, new_one.context, kUnavailable, "DRAINING");
  EXPECT_EQ(HealthOf(full.server()), "NOT_SERVING");
  EXPECT_EQ(full.server().Get("/readyz"), "draining\n");
  EXPECT_EQ(full.server().Get("/healthz"), "ok\n");

  full.store().Release();
  drain.join();
  EXPECT_THAT(StoredIds(full.store()),
              ElementsAre("in work", "queued 1", "queued 2"));
}

TEST(Drain, WithoutWorkIsClean) {
  TestServer server(SmallConfig("block", 2));
  const DrainReport report = server.Drain();
  EXPECT_TRUE(report.clean());
  EXPECT_LT(report.took, absl::Seconds(5));
}

TEST(Drain, IsNotHeldUpByIdleConnections) {
  TestServer server(SmallConfig("block", 2));
  std::vector<std::unique_ptr<AsyncCaller>> callers;
  for (int i = 0; i < 20; ++i) {
    callers.push_back(std::make_unique<AsyncCaller>(server.NewChannel()));
    callers.back()->SubmitAndWait(MakeSubmit(absl::StrCat(i)));
  }
  EXPECT_LT(server.Drain().took, absl::Seconds(5));
}

std::vector<std::string> LeftIds(const DrainReport& report) {
  std::vector<std::string> ids;
  for (const Leftover& one : report.left) ids.push_back(one.submission_id);
  return ids;
}

TEST(Drain, ReportsTheSubmissionsThatAreStillQueuedAtTheTimeout) {
  for (const Ack ack : {Ack::kStored, Ack::kQueued}) {
    Config config = SmallConfig("fail_fast", 3);
    config.drain_timeout = absl::Seconds(4);
    config.methods[Index(Method::kSubmit)].ack = ack;
    FullServer full(config);
    std::thread release([&] {
      AwaitThat("the queued submissions are ended", [&] {
        const MethodCounters counters = full.server().counters(Method::kSubmit);
        return counters.completed[TaskResult::kDraining] == 3;
      });
      full.store().Release();
    });
    const DrainReport report = full.server().Drain();
    release.join();
    EXPECT_FALSE(report.clean());
    EXPECT_THAT(LeftIds(report),
                UnorderedElementsAre("queued 1", "queued 2", "queued 3"));
    EXPECT_THAT(StoredIds(full.store()), ElementsAre("in work"));
    for (std::size_t i = 1; i <= 3; ++i) {
      const AsyncSubmit& call = full.caller().Await(full.queued(i));
      if (ack == Ack::kQueued) {
        EXPECT_EQ(call.receipt.disposition(), Receipt::QUEUED);
      } else {
        ExpectTryLater(call.status, call.context, kUnavailable, "DRAINING");
      }
    }
  }
}

// A submission that cannot be quarantined is tried again after a delay that is
// longer than the drain.
TEST(Drain, DoesNotAwaitADelayedSubmission) {
  const TempFolder folder;
  FaultyDisk disk;
  Config config = JournalConfig(folder);
  config.drain_timeout = absl::Seconds(25);
  TestServer server(config);
  server.store().FailFor("poison", absl::InvalidArgumentError("no"));
  server.store().Hold();
  Submit(server, Of("Patient/1", "poison"));
  Submit(server, Of("Patient/1", "behind it"));
  server.store().AwaitInFlight(1);
  disk.SetFull(true);
  server.store().Release();
  AwaitThat("the submission is delayed", [&] {
    return server.server().Snapshots().at("clinical").retries >= 1;
  });
  const DrainReport report = server.Drain();
  EXPECT_LT(report.took, absl::Seconds(15));
  EXPECT_GE(report.journaled, 1u);
  EXPECT_THAT(LeftIds(report), testing::IsEmpty());
}

TEST(Drain, LeavesTheJournalToTheNextStartWhileTheStoreIsUnavailable) {
  const TempFolder folder;
  Config config = JournalConfig(folder);
  config.drain_timeout = absl::Seconds(60);
  {
    TestServer server(config);
    server.store().FailWith(absl::UnavailableError("unavailable"));
    for (const char* id : {"1", "2", "3"}) Submit(server, Of("Patient/1", id));
    const DrainReport report = server.Drain();
    EXPECT_LT(report.took, absl::Seconds(30));
    EXPECT_EQ(report.journaled, 3u);
    EXPECT_TRUE(report.clean());
  }
  TestServer server(config);
  AwaitThat("the entries are stored",
            [&] { return StoredIds(server.store()).size() == 3; });
}

// Blocks reads until Release. The state outlives the store, which the server
// owns.
class StoreWithHeldReads final : public Store {
 public:
  struct State {
    void Release() {
      absl::MutexLock lock(&mutex);
      held = false;
    }
    bool has_read() {
      absl::MutexLock lock(&mutex);
      return reads > 0;
    }
    bool is_destroyed() {
      absl::MutexLock lock(&mutex);
      return destroyed;
    }

    absl::Mutex mutex;
    bool held ABSL_GUARDED_BY(mutex) = true;
    int reads ABSL_GUARDED_BY(mutex) = 0;  // reads in progress
    bool destroyed ABSL_GUARDED_BY(mutex) = false;
    int reads_when_destroyed ABSL_GUARDED_BY(mutex) = 0;
  };

  explicit StoreWithHeldReads(State* state) : state_(*state) {}
  ~StoreWithHeldReads() override {
    absl::MutexLock lock(&state_.mutex);
    state_.destroyed = true;
    state_.reads_when_destroyed = state_.reads;
  }

  absl::StatusOr<StorePage> Read(std::int64_t, std::size_t,
                                 std::size_t) override {
    // `this` may be destroyed before the read ends.
    State& state = state_;
    absl::MutexLock lock(&state.mutex);
    const auto released = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(state.mutex) {
      return !state.held;
    };
    ++state.reads;
    state.mutex.Await(absl::Condition(&released));
    --state.reads;
    StorePage page;
    page.last = true;
    return page;
  }
  absl::Status SaveBatch(absl::Span<const Submission>,
                         absl::Span<Saved>) override {
    return absl::UnimplementedError("");
  }
  absl::StatusOr<std::vector<std::optional<StoredReceipt>>> FindReceipts(
      std::string_view, absl::Span<const std::string>) override {
    return absl::UnimplementedError("");
  }
  absl::StatusOr<std::int64_t> LastSequence() override { return 0; }
  absl::Status Check() override { return absl::OkStatus(); }

 private:
  State& state_;
};

TEST(Destructor, WaitsForAnAdminRequestThatHangsInTheStore) {
  StoreWithHeldReads::State state;
  Config config = SmallConfig("block", 2);
  config.admin = "127.0.0.1:0";
  auto started = IngestionServer::Start(
      {.config = config,
       .store = std::make_unique<StoreWithHeldReads>(&state),
       .step = {}});
  ASSERT_TRUE(started.ok()) << started.status();
  std::unique_ptr<IngestionServer> server = *std::move(started);
  const auto admin = v1::Admin::NewStub(
      grpc::CreateChannel(absl::StrCat("127.0.0.1:", server->admin_port()),
                          grpc::InsecureChannelCredentials()));
  grpc::ClientContext context;
  context.set_deadline(absl::ToChronoTime(absl::Now() + kPatience));
  const auto reader = admin->Export(&context, {});
  AwaitThat("the request is in the store", [&] { return state.has_read(); });

  const int port = server->port();
  const int metrics_port = server->metrics_port();
  std::thread release([&] {
    AwaitThat("the port is closed",
              [&] { return !TcpConnection(port).connected(); });
    // The server answers /healthz while it waits for the request. A server that
    // does not wait would have destroyed its store after a few answers.
    int answers = 0;
    AwaitThat("the server waits", [&] {
      if (!HttpGet(metrics_port, "/healthz").empty()) ++answers;
      return answers >= 20 || state.is_destroyed();
    });
    state.Release();
  });
  server.reset();
  release.join();
  v1::ExportResponse response;
  EXPECT_FALSE(reader->Read(&response));
  EXPECT_FALSE(reader->Finish().ok());
  absl::MutexLock lock(&state.mutex);
  EXPECT_TRUE(state.destroyed);
  EXPECT_EQ(state.reads_when_destroyed, 0);
}

// Returns the configuration of one worker that takes one submission at a time,
// and works on each for `delay`.
std::string SlowConfig(std::string_view delay, std::string_view timeout) {
  return absl::StrCat(
      "store: {kind: discard, delay: ", std::string(delay),
      ", allow_loss: true}\n"
      "pools: {clinical: {queue: {kind: memory, capacity: 1000}, workers: "
      "{min: 1, max: 1}, batch: {max: 1}}}\n"
      "methods: {default: {pool: clinical, on_full: fail_fast, ack: queued, "
      "allow_loss: true}}\n"
      "drain: {timeout: ",
      std::string(timeout), "}\n");
}

TEST(Program, EndsWithZeroOnSigtermAndSigint) {
  for (const int signal : {SIGTERM, SIGINT}) {
    Sluice sluice(SlowConfig("1ms", "30s"));
    AsyncCaller caller(sluice.Connect());
    EXPECT_TRUE(caller.SubmitAndWait(MakeSubmit("1")).status.ok());
    sluice.program().Signal(signal);
    EXPECT_EQ(sluice.program().Wait().exit_code, 0);
    EXPECT_THAT(sluice.program().err(),
                HasSubstr("received=1 admitted=1 completed=1"));
    EXPECT_THAT(sluice.program().err(), HasSubstr("balanced=yes"));
  }
}

TEST(Program, EndsWithZeroOnAStopSignalWhileItStarts) {
  for (const int signal : {SIGTERM, SIGINT}) {
    // The program waits for an answer of the database.
    const RawServer database("", RawServer::Then::kRead);
    Sluice sluice(absl::StrCat(
        "store: {kind: postgres, url: \"postgresql://", database.target(),
        "/sluice\"}\n"
        "pools: {clinical: {queue: {kind: memory, capacity: 1000}}}\n"
        "methods: {default: {pool: clinical, on_full: fail_fast}}\n"));
    AwaitThat("the program has connected",
              [&] { return database.connections() > 0; });
    sluice.program().Signal(signal);
    EXPECT_EQ(sluice.program().Wait().exit_code, 0);
    EXPECT_THAT(sluice.program().err(), HasSubstr("stopped during the start"));
  }
}

TEST(Program, LosesNothingOnSigtermUnderLoad) {
  for (const std::string queue : {"kind: memory", "kind: journal"}) {
    const TempFolder folder;
    const std::string database = folder / "sluice.db";
    const bool journal = queue == "kind: journal";
    Sluice sluice(absl::StrCat(
        "store: {kind: sqlite, path: ", database,
        "}\n"
        "pools: {clinical: {queue: {",
        queue, journal ? absl::StrCat(", path: ", folder / "journal.db") : "",
        ", capacity: 64}, workers: {min: 2, max: 2}}}\n"
        "methods: {default: {pool: clinical, on_full: block, ack: queued",
        journal ? "" : ", allow_loss: true", "}}\n"));
    Load load(sluice.Connect(), 16);
    AwaitThat("there is load",
              [&] { return load.acknowledged_count() >= 500; });
    sluice.program().Signal(SIGTERM);
    EXPECT_EQ(sluice.program().Wait().exit_code, 0) << sluice.program().err();
    EXPECT_THAT(sluice.program().err(), HasSubstr("balanced=yes"));
    std::vector<std::string> stored;
    for (const auto& row :
         Shell(database).Run("SELECT submission_id FROM submissions")) {
      stored.push_back(row[0]);
    }
    std::vector<std::string> acknowledged = load.Join();
    std::ranges::sort(stored);
    std::ranges::sort(acknowledged);
    EXPECT_TRUE(std::ranges::includes(stored, acknowledged))
        << stored.size() << " stored, " << acknowledged.size()
        << " acknowledged";
  }
}

TEST(Program, EndsWithFourIfEntriesStayInTheJournal) {
  const TempFolder folder;
  const std::string database = folder / "sluice.db";
  Sluice sluice(absl::StrCat(
      "store: {kind: sqlite, path: ", database,
      "}\npools: {clinical: {queue: {kind: journal, path: ",
      folder / "journal.db",
      ", capacity: 10}}}\n"
      "methods: {default: {pool: clinical, on_full: fail_fast, ack: queued}}\n"
      "drain: {timeout: 60s}\n"));
  AsyncCaller caller(sluice.Connect());
  Shell other(database);
  other.Run("BEGIN EXCLUSIVE");
  EXPECT_TRUE(caller.SubmitAndWait(MakeSubmit("1")).status.ok());
  sluice.program().Signal(SIGTERM);
  EXPECT_EQ(sluice.program().Wait().exit_code, 4);
  EXPECT_THAT(sluice.program().err(), HasSubstr(" left=0 journaled=1 "));
}

TEST(Program, ReportsUnstoredSubmissionsAtTheDrainTimeout) {
  Sluice sluice(SlowConfig("20ms", "1s"));
  AsyncCaller caller(sluice.Connect());
  for (int i = 0; i < 200; ++i) {
    caller.SubmitAndWait(MakeSubmit(absl::StrCat("number-", i)));
  }
  sluice.program().Signal(SIGTERM);
  EXPECT_EQ(sluice.program().Wait().exit_code, 3);
  const std::string err = sluice.program().err();
  EXPECT_THAT(err, HasSubstr("left: method=Submit study_id=study "
                             "submission_id=number-199\n"));
  EXPECT_THAT(err, testing::Not(HasSubstr("submission_id=number-0\n")));
}

TEST(Program, EndsThoughAWorkerHangs) {
  Sluice sluice(SlowConfig("1m", "200ms"));
  AsyncCaller caller(sluice.Connect());
  for (const char* id : {"hangs", "behind-it"}) {
    EXPECT_TRUE(caller.SubmitAndWait(MakeSubmit(id)).status.ok());
  }
  sluice.program().Signal(SIGTERM);
  EXPECT_EQ(sluice.program().Wait().exit_code, 3);
  const std::string err = sluice.program().err();
  EXPECT_THAT(err, HasSubstr("stuck=yes"));
  EXPECT_THAT(err, HasSubstr("submission_id=hangs\n"));
  EXPECT_THAT(err, HasSubstr("submission_id=behind-it\n"));
}

TEST(Program, EndsAtOnceOnASecondSigterm) {
  Sluice sluice(SlowConfig("1m", "50s"));
  AsyncCaller caller(sluice.Connect());
  EXPECT_TRUE(caller.SubmitAndWait(MakeSubmit("hangs")).status.ok());
  sluice.program().Signal(SIGTERM);
  sluice.program().AwaitErr("draining: ");
  const absl::Time second = absl::Now();
  sluice.program().Signal(SIGTERM);
  EXPECT_EQ(sluice.program().Wait().signal, SIGTERM);
  EXPECT_LT(absl::Now() - second, absl::Seconds(20));
}

TEST(Program, EndsWithTwoAndNamesKeyAndLineOfAnError) {
  Sluice sluice(
      "pools: {clinical: {}}\ncolour: blue\nmethods: {default: "
      "{pool: clinic}}\n");
  EXPECT_EQ(sluice.program().Wait().exit_code, 2);
  const std::string err = sluice.program().err();
  EXPECT_THAT(err, HasSubstr(sluice.path("config.yaml") + ":4: colour: "));
  EXPECT_THAT(err, HasSubstr(":5: methods.default.pool: "));
  EXPECT_EQ(sluice.program().out(), "");
}

TEST(Program, EndsWithTwoWhereTheConfigurationCouldLoseData) {
  Sluice sluice(
      "store: {kind: discard}\n"
      "pools: {clinical: {}}\n"
      "methods: {default: {pool: clinical, on_full: drop}}\n");
  EXPECT_EQ(sluice.program().Wait().exit_code, 2);
  EXPECT_THAT(sluice.program().err(), HasSubstr("allow_loss"));
}

TEST(Program, EndsWithTwoOnBadUsage) {
  for (const auto& arguments : std::vector<std::vector<std::string>>{
           {}, {"--colour"}, {"--config", "/nowhere/config.yaml"}}) {
    Program program(SLUICE_BINARY, arguments);
    EXPECT_EQ(program.Wait().exit_code, 2);
    EXPECT_NE(program.err(), "");
  }
}

TEST(Program, ChecksAConfigurationWithoutServingIt) {
  const TempFolder folder;
  std::ofstream(folder / "config.yaml")
      << "store: {kind: sqlite, path: " << (folder / "sluice.db")
      << "}\npools: {clinical: {}}\nmethods: {default: {pool: clinical}}\n";
  Program program(SLUICE_BINARY,
                  {"--config", folder / "config.yaml", "--check"});
  EXPECT_EQ(program.Wait().exit_code, 0) << program.err();
  EXPECT_THAT(program.out(), HasSubstr("listen: 127.0.0.1:50051"));
  EXPECT_THAT(program.out(), HasSubstr("sluice.v1.Ingestion/Submit"));
  EXPECT_FALSE(std::filesystem::exists(folder / "sluice.db"));
}

TEST(Program, EndsWithOneWhereItsPortIsTaken) {
  TestServer server(SmallConfig("block", 4));
  const TempFolder folder;
  std::ofstream(folder / "config.yaml")
      << "listen: " << server.address() << "\nmetrics: 127.0.0.1:0\n"
      << SlowConfig("1ms", "1s");
  Program program(SLUICE_BINARY, {"--config", folder / "config.yaml"});
  EXPECT_EQ(program.Wait().exit_code, 1);
  EXPECT_THAT(program.err(), HasSubstr("listen: "));
}

}  // namespace
}  // namespace sluice
