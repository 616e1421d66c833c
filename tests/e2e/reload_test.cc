// Tests changes of the configuration while the server serves calls: no call is
// lost, and queued submissions are stored.

#include <signal.h>

#include <atomic>
#include <cstddef>
#include <fstream>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "gmock/gmock.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"
#include "tests/fakes/async_caller.h"
#include "tests/fakes/call_status.h"
#include "tests/fakes/full_server.h"
#include "tests/fakes/program.h"
#include "tests/fakes/sluice_program.h"
#include "tests/fakes/tcp_connection.h"
#include "tests/fakes/test_server.h"

namespace sluice {
namespace {

using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pair;
using v1::Receipt;

constexpr auto kResourceExhausted = grpc::StatusCode::RESOURCE_EXHAUSTED;

MethodConfig& MethodOf(Config& config, Method method) {
  return config.methods[Index(method)];
}

void Apply(TestServer& server, const Config& config) {
  const auto needs_restart = server.server().Apply(config);
  ASSERT_TRUE(needs_restart.ok()) << needs_restart.status();
  EXPECT_THAT(*needs_restart, IsEmpty());
}

// --- Changes of single values ---

TEST(Reload, AQueueThatShrinksBelowItsDepthStoresAllThatIsInIt) {
  FullServer full(SmallConfig("block", 8));
  const AsyncSubmit& parked = full.Park(MakeSubmit("parked"));
  Apply(full.server(), SmallConfig("block", 2));
  EXPECT_EQ(full.server().view().capacity, 2u);
  EXPECT_EQ(full.server().view().depth, 8u);
  full.store().Release();
  EXPECT_TRUE(full.caller().Await(parked).status.ok());
  EXPECT_THAT(
      StoredIds(full.store()),
      ElementsAre("in work", "queued 1", "queued 2", "queued 3", "queued 4",
                  "queued 5", "queued 6", "queued 7", "queued 8", "parked"));
}

TEST(Reload, AQueueThatGrowsAdmitsParkedCalls) {
  FullServer full(SmallConfig("block", 1));
  full.Park(MakeSubmit("parked"));
  Apply(full.server(), SmallConfig("block", 2));
  full.server().AwaitQueued(2);
  EXPECT_EQ(full.server().view().waiting, 0u);
}

TEST(Reload, ABatchGrows) {
  Config config = SmallConfig("block", 4);
  FullServer full(config);
  config.pools["clinical"].batch_max = 4;
  Apply(full.server(), config);
  full.store().Release();
  full.caller().AwaitEnded(5);
  EXPECT_THAT(full.store().batches(), ElementsAre(1, 4));
}

TEST(Reload, CallsThatWaitGoOnByThePolicyThatTheyCameWith) {
  FullServer full(SmallConfig("block", 1));
  const AsyncSubmit& parked = full.Park(MakeSubmit("parked"));
  Apply(full.server(), SmallConfig("fail_fast", 1));
  const AsyncSubmit& next = full.caller().SubmitAndWait(MakeSubmit("next"));
  EXPECT_EQ(next.status.error_code(), kResourceExhausted);
  EXPECT_FALSE(full.caller().Ended(parked));
  full.store().Release();
  EXPECT_TRUE(full.caller().Await(parked).status.ok());
}

TEST(Reload, TheMomentOfAcknowledgementChanges) {
  Config config = SmallConfig("fail_fast", 4);
  FullServer full(SmallConfig("fail_fast", 2));
  MethodOf(config, Method::kSubmit).ack = Ack::kQueued;
  MethodOf(config, Method::kSubmit).allow_loss = true;
  Apply(full.server(), config);
  const AsyncSubmit& next = full.caller().SubmitAndWait(MakeSubmit("next"));
  EXPECT_EQ(next.receipt.disposition(), Receipt::QUEUED);
  EXPECT_FALSE(full.caller().Ended(full.queued(1))) << "it came before";
}

TEST(Reload, AStreamFollowsFromItsNextSubmissionOn) {
  FullServer full(SmallConfig("fail_fast", 1));
  grpc::ClientContext context;
  const auto stream = full.server().stub().SubmitStream(&context);
  stream->Write(MakeSubmit("before"));
  Receipt receipt;
  ASSERT_TRUE(stream->Read(&receipt));
  EXPECT_EQ(receipt.disposition(), Receipt::REFUSED);

  Apply(full.server(), SmallConfig("block", 1));
  stream->Write(MakeSubmit("after"));
  full.server().AwaitWaiting(1);
  full.store().Release();
  ASSERT_TRUE(stream->Read(&receipt));
  EXPECT_EQ(receipt.disposition(), Receipt::STORED);
  stream->WritesDone();
  EXPECT_TRUE(stream->Finish().ok());
}

TEST(Reload, RefusalsAreCountedUnderThePolicyOfTheirTime) {
  const auto rejections = [](std::string_view policy, std::string_view reason) {
    return absl::StrCat("sluice_rejections_total{method=\"Submit\",policy=\"",
                        std::string(policy), "\",reason=\"",
                        std::string(reason), "\"}");
  };
  FullServer full(SmallConfig("fail_fast", 1));
  full.caller().SubmitAndWait(MakeSubmit("1"));
  full.caller().SubmitAndWait(MakeSubmit("2"));
  Config waits = SmallConfig("timed_wait", 1);
  for (MethodConfig& method : waits.methods) {
    if (method.on_full == "timed_wait") method.max_wait = absl::Milliseconds(1);
  }
  Apply(full.server(), waits);
  full.caller().SubmitAndWait(MakeSubmit("3"));
  Apply(full.server(), SmallConfig("fail_fast", 1));
  full.caller().SubmitAndWait(MakeSubmit("4"));
  const std::string metrics = full.server().Get("/metrics");
  EXPECT_THAT(metrics,
              HasSubstr(rejections("fail_fast", "queue_full") + " 3\n"));
  EXPECT_THAT(metrics,
              HasSubstr(rejections("timed_wait", "wait_over") + " 1\n"));
  EXPECT_THAT(metrics,
              HasSubstr(rejections("timed_wait", "queue_full") + " 0\n"));
}

TEST(Reload, ADrainThatHasBegunIsNotChanged) {
  FullServer full(SmallConfig("block", 4));
  std::thread drain([&] { full.server().Drain(); });
  AwaitThat("the drain has begun",
            [&] { return full.server().Get("/readyz") == "draining\n"; });
  EXPECT_FALSE(full.server().server().Apply(SmallConfig("block", 2)).ok());
  EXPECT_EQ(full.server().view().capacity, 4u);
  full.store().Release();
  drain.join();
  EXPECT_FALSE(full.server().server().Apply(SmallConfig("block", 2)).ok());
}

// --- Under load ---

// The answers that several clients received. Each submission has its own id.
class Answers {
 public:
  void Sent(const std::string& id) {
    absl::MutexLock lock(&mutex_);
    times_.emplace(id, 0);
  }
  void Told(const std::string& id, Receipt::Disposition disposition) {
    absl::MutexLock lock(&mutex_);
    ++times_[id];
    ++told_;
    switch (disposition) {
      case Receipt::STORED:
      case Receipt::QUEUED:
        kept_.insert(id);
        break;
      case Receipt::REFUSED:
        ++refused_;
        break;
      case Receipt::DROPPED:
        ++dropped_;
        break;
      default:
        ADD_FAILURE() << id << ": " << Receipt::Disposition_Name(disposition);
    }
  }

  // Waits for another answer, for at most kPatience.
  void AwaitMore() {
    absl::MutexLock lock(&mutex_);
    const std::size_t before = told_;
    const auto more = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
      return told_ > before;
    };
    EXPECT_TRUE(mutex_.AwaitWithTimeout(absl::Condition(&more), kPatience));
  }

  std::size_t refused() const {
    absl::MutexLock lock(&mutex_);
    return refused_;
  }
  // Returns the number of dropped submissions. Call it after the clients have
  // ended.
  std::size_t dropped() const {
    absl::MutexLock lock(&mutex_);
    return dropped_;
  }
  std::map<std::string, int> times() const {
    absl::MutexLock lock(&mutex_);
    return times_;
  }
  std::set<std::string> kept() const {
    absl::MutexLock lock(&mutex_);
    return kept_;
  }

 private:
  mutable absl::Mutex mutex_;
  std::map<std::string, int> times_ ABSL_GUARDED_BY(mutex_);
  std::set<std::string> kept_ ABSL_GUARDED_BY(mutex_);
  std::size_t told_ ABSL_GUARDED_BY(mutex_) = 0;
  std::size_t refused_ ABSL_GUARDED_BY(mutex_) = 0;
  std::size_t dropped_ ABSL_GUARDED_BY(mutex_) = 0;
};

// Clients that call until they are stopped: unary calls, streams and bulk
// calls, each on its own connection.
class Clients {
 public:
  Clients(const TestServer& server, Answers* answers) : answers_(*answers) {
    for (int i = 0; i < 8; ++i) Start(server, &Clients::Submit);
    for (int i = 0; i < 2; ++i) Start(server, &Clients::Stream);
    Start(server, &Clients::Record);
  }
  ~Clients() { Stop(); }

  void Stop() {
    stopped_ = true;
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
  }

 private:
  using Client = void (Clients::*)(v1::Ingestion::Stub&, const std::string&);

  void Start(const TestServer& server, Client client) {
    const std::string name = absl::StrCat("client ", threads_.size(), " ");
    threads_.emplace_back([this, client, name, channel = server.NewChannel()] {
      const auto stub = v1::Ingestion::NewStub(channel);
      (this->*client)(*stub, name);
    });
  }

  void Submit(v1::Ingestion::Stub& stub, const std::string& name) {
    for (int i = 0; !stopped_; ++i) {
      const std::string id = absl::StrCat(name, i);
      answers_.Sent(id);
      grpc::ClientContext context;
      Receipt receipt;
      const auto status = stub.Submit(&context, MakeSubmit(id), &receipt);
      EXPECT_TRUE(status.ok() || status.error_code() == kResourceExhausted)
          << status.error_message();
      answers_.Told(id, status.ok() ? receipt.disposition() : Receipt::REFUSED);
    }
  }

  void Stream(v1::Ingestion::Stub& stub, const std::string& name) {
    grpc::ClientContext context;
    const auto stream = stub.SubmitStream(&context);
    Receipt receipt;
    for (int i = 0; !stopped_; ++i) {
      const std::string id = absl::StrCat(name, i);
      answers_.Sent(id);
      ASSERT_TRUE(stream->Write(MakeSubmit(id)));
      ASSERT_TRUE(stream->Read(&receipt));
      answers_.Told(receipt.submission_id(), receipt.disposition());
    }
    stream->WritesDone();
    EXPECT_FALSE(stream->Read(&receipt)) << receipt.submission_id();
    EXPECT_TRUE(stream->Finish().ok());
  }

  void Record(v1::Ingestion::Stub& stub, const std::string& name) {
    for (int i = 0; !stopped_; ++i) {
      v1::RecordEventsRequest request;
      request.set_study_id("study");
      for (int event = 0; event < 5; ++event) {
        const std::string id = absl::StrCat(name, i, " ", event);
        answers_.Sent(id);
        request.add_events()->set_event_id(id);
      }
      grpc::ClientContext context;
      v1::RecordEventsResponse response;
      const auto status = stub.RecordEvents(&context, request, &response);
      if (!status.ok()) {
        EXPECT_EQ(status.error_code(), kResourceExhausted);
        for (const auto& event : request.events()) {
          answers_.Told(event.event_id(), Receipt::REFUSED);
        }
      }
      for (const Receipt& receipt : response.receipts()) {
        answers_.Told(receipt.submission_id(), receipt.disposition());
      }
    }
  }

  Answers& answers_;
  std::atomic<bool> stopped_{false};
  std::vector<std::thread> threads_;
};

// Returns a configuration whose queue has one place. Further submissions are
// refused or dropped.
Config HastyConfig() {
  Config config = SmallConfig("fail_fast", 1);
  MethodOf(config, Method::kRecordEvents).on_full = "drop";
  for (MethodConfig& method : config.methods) method.allow_loss = true;
  return config;
}

// Returns a configuration that parks calls (without a limit, or only briefly)
// and acknowledges submissions once they are queued.
Config PatientConfig() {
  Config config = SmallConfig("block", 3);
  config.pools["clinical"].batch_max = 4;
  config.pools["clinical"].waiting_max = 100;
  MethodOf(config, Method::kRecordEvents).on_full = "timed_wait";
  MethodOf(config, Method::kRecordEvents).max_wait = absl::Milliseconds(1);
  for (MethodConfig& method : config.methods) method.allow_loss = true;
  MethodOf(config, Method::kSubmit).ack = Ack::kQueued;
  MethodOf(config, Method::kRecordEvents).ack = Ack::kQueued;
  return config;
}

// Blocks the store during the change, so that calls are certainly refused under
// the first configuration and parked under the second.
void ReloadFullServer(TestServer& server, const Answers& answers) {
  Apply(server, HastyConfig());
  // Parked calls keep the policy that they came with. If all clients had such a
  // call when the store is blocked, nobody would be refused.
  AwaitThat("no call is parked", [&] { return server.view().waiting == 0; });
  server.store().Hold();
  const std::size_t refused = answers.refused();
  AwaitThat("a call is refused", [&] { return answers.refused() > refused; });
  Apply(server, PatientConfig());
  AwaitThat("calls are parked", [&] { return server.view().waiting > 0; });
  Apply(server, HastyConfig());
  Apply(server, PatientConfig());
  server.store().Release();
}

TEST(Reload, LosesNoCallAndAnswersNoneTwiceInAThousandUnderLoad) {
  TestServer server(PatientConfig());
  Answers answers;
  Clients clients(server, &answers);
  for (int i = 0; i < 1000 && !testing::Test::HasFailure(); i += 4) {
    if (i % 100 == 0) {
      ReloadFullServer(server, answers);
      continue;
    }
    for (int reload = 0; reload < 4; ++reload) {
      answers.AwaitMore();
      Apply(server, reload % 2 == 0 ? HastyConfig() : PatientConfig());
    }
  }
  clients.Stop();
  EXPECT_THAT(
      server.Get("/metrics"),
      HasSubstr("sluice_config_reloads_total{result=\"success\"} 1000\n"));
  // Expects that the counters balance and that nothing is left.
  server.Drain();
  EXPECT_THAT(answers.times(), Each(Pair(testing::_, 1)));
  const std::vector<std::string> stored = StoredIds(server.store());
  const std::set<std::string> stored_once(stored.begin(), stored.end());
  EXPECT_EQ(stored_once, answers.kept());
  EXPECT_EQ(stored.size(), stored_once.size());
  EXPECT_GE(answers.refused(), 10u);
  std::size_t received = 0;
  std::size_t dropped = 0;
  for (const Method method :
       {Method::kSubmit, Method::kSubmitStream, Method::kRecordEvents}) {
    received += server.counters(method).received;
    dropped += server.counters(method).not_admitted[TaskResult::kDropped];
  }
  EXPECT_EQ(dropped, answers.dropped());
  // A bulk call that is refused unread counts as one submission.
  EXPECT_LE(received, answers.times().size());
}

// --- The program ---

// Returns a configuration with a store that keeps nothing, and a worker that
// takes one submission at a time.
std::string DiscardConfig(std::string_view delay, std::string_view more) {
  return absl::StrCat(
      "store: {kind: discard, delay: ", std::string(delay),
      ", allow_loss: true}\n"
      "pools: {clinical: {workers: {min: 1, max: 1}, batch: {max: 1}}}\n"
      "methods: {default: {pool: clinical, ack: queued, allow_loss: true}}\n",
      std::string(more));
}

TEST(ReloadProgram, ServesOnWithTheOldConfigurationWhereTheNewOneIsInvalid) {
  Sluice sluice(DiscardConfig("0ms", ""));
  const int metrics_port = sluice.metrics_port();
  AsyncCaller caller(sluice.Connect());
  std::ofstream(sluice.path("config.yaml"), std::ios::app)
      << "drain: {timeout: soon}\n";
  sluice.program().Signal(SIGHUP);
  sluice.program().AwaitErr("reload failed: errors=1");
  EXPECT_THAT(sluice.program().err(),
              HasSubstr(sluice.path("config.yaml") + ":6: drain.timeout: "));
  EXPECT_THAT(HttpGet(metrics_port, "/metrics"),
              HasSubstr("sluice_config_last_reload_successful 0\n"));
  EXPECT_TRUE(caller.SubmitAndWait(MakeSubmit("1")).status.ok());
  sluice.program().Signal(SIGTERM);
  EXPECT_EQ(sluice.program().Wait().exit_code, 0);
}

TEST(ReloadProgram, NoticesAFileThatIsReplacedByRename) {
  Sluice sluice(DiscardConfig("0ms", ""));
  const int metrics_port = sluice.metrics_port();
  sluice.Replace(DiscardConfig("9ms", "drain: {timeout: 9s}\n"));
  sluice.program().AwaitErr("reloaded: ");
  EXPECT_THAT(sluice.program().err(),
              HasSubstr("store.delay needs a restart\n"));
  EXPECT_THAT(HttpGet(metrics_port, "/metrics"),
              HasSubstr("sluice_config_reloads_total{result=\"success\"} 1\n"));
  sluice.program().Signal(SIGTERM);
  EXPECT_EQ(sluice.program().Wait().exit_code, 0);
}

TEST(ReloadProgram, DrainsByTheTimeoutOfTheLastReload) {
  Sluice sluice(DiscardConfig("1m", "drain: {timeout: 1h}\n"));
  AsyncCaller caller(sluice.Connect());
  EXPECT_TRUE(caller.SubmitAndWait(MakeSubmit("hangs")).status.ok());
  sluice.Replace(DiscardConfig("1m", "drain: {timeout: 200ms}\n"));
  sluice.program().Signal(SIGHUP);
  sluice.program().AwaitErr("reloaded: ");
  sluice.program().Signal(SIGTERM);
  EXPECT_EQ(sluice.program().Wait().exit_code, 3);
  EXPECT_THAT(sluice.program().err(), HasSubstr("stuck=yes"));
}

TEST(ReloadProgram, ADrainDoesNotEndByAHangUp) {
  Sluice sluice(DiscardConfig("1m", "drain: {timeout: 2s}\n"));
  AsyncCaller caller(sluice.Connect());
  EXPECT_TRUE(caller.SubmitAndWait(MakeSubmit("hangs")).status.ok());
  sluice.program().Signal(SIGTERM);
  sluice.program().AwaitErr("draining: ");
  sluice.program().Signal(SIGHUP);
  EXPECT_EQ(sluice.program().Wait().exit_code, 3);
}

}  // namespace
}  // namespace sluice
