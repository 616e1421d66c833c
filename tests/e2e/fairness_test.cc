// Tests pools that are shared fairly: other sites are served while one site
// sends a storm of submissions.

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "google/rpc/error_details.pb.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"
#include "server/transport/refusal_pace.h"
#include "tests/fakes/async_caller.h"
#include "tests/fakes/call_status.h"
#include "tests/fakes/test_server.h"

namespace sluice {
namespace {

constexpr std::size_t kCapacity = 8;

Config FairConfig() {
  Config config = SmallConfig("fail_fast", kCapacity);
  config.pools["clinical"].fair_by = FairBy::kSite;
  return config;
}

v1::SubmitRequest FromSite(const std::string& site, std::size_t number) {
  v1::SubmitRequest request = MakeSubmit(absl::StrCat(site, " ", number));
  request.set_site_id(site);
  return request;
}

// A server whose store is blocked, and a site that has sent 50 submissions.
class StormyServer {
 public:
  explicit StormyServer(const Config& config) : server_(config) {
    server_.store().Hold();
    calls_ = std::make_unique<AsyncCaller>(server_.NewChannel());
    calls_->Submit(FromSite("storm", 0));
    server_.store().AwaitInFlight(1);
    for (std::size_t i = 1; i < 50; ++i) calls_->Submit(FromSite("storm", i));
    // One submission is in work, and the site's share of the queue, one half,
    // is full. The other submissions are refused.
    const std::size_t inside = 1 + kCapacity / 2;
    EXPECT_EQ(calls_->AwaitEnded(50 - inside), 50 - inside);
    server_.AwaitQueued(kCapacity / 2);
  }
  ~StormyServer() { server_.store().Release(); }

  TestServer& server() { return server_; }
  AsyncCaller& calls() { return *calls_; }

 private:
  TestServer server_;
  std::unique_ptr<AsyncCaller> calls_;
};

TEST(Fairness, AnotherSiteFindsRoomBesideAStorm) {
  StormyServer stormy(FairConfig());
  const AsyncSubmit& first = stormy.calls().Submit(FromSite("calm", 1));
  const AsyncSubmit& second = stormy.calls().Submit(FromSite("calm", 2));
  stormy.server().AwaitQueued(kCapacity / 2 + 2);
  stormy.server().store().Release();
  EXPECT_TRUE(stormy.calls().Await(first).status.ok());
  EXPECT_TRUE(stormy.calls().Await(second).status.ok());
  // The two submissions did not wait for the backlog of the storm.
  EXPECT_EQ(stormy.server().counters(Method::kSubmit).admitted,
            1 + kCapacity / 2 + 2);
}

// Each site counts its own patients from 1.
TEST(Fairness, APatientIdThatAnotherSiteUsesTooDoesNotJoinItsBacklog) {
  Config config = FairConfig();
  config.methods[Index(Method::kSubmit)].ack = Ack::kQueued;
  TestServer server(config);
  server.store().Hold();
  for (std::size_t i = 0; i < 50; ++i) {
    grpc::ClientContext context;
    v1::Receipt receipt;
    (void)server.stub().Submit(&context, FromSite("storm", i), &receipt);
    if (i == 0) server.store().AwaitInFlight(1);
  }
  v1::SubmitRequest request = FromSite("calm", 1);
  ASSERT_EQ(request.response().subject().reference(),
            FromSite("storm", 1).response().subject().reference());
  grpc::ClientContext context;
  v1::Receipt receipt;
  EXPECT_TRUE(server.stub().Submit(&context, request, &receipt).ok());
  EXPECT_EQ(receipt.disposition(), v1::Receipt::QUEUED);
  server.store().Release();
}

TEST(Fairness, MetadataTellTheSiteBeforeTheRequest) {
  StormyServer stormy(FairConfig());
  grpc::ClientContext context;
  context.AddMetadata("sluice-study", MakeSubmit("x").study_id());
  context.AddMetadata("sluice-site", "storm");
  v1::Receipt receipt;
  const grpc::Status status =
      stormy.server().stub().Submit(&context, FromSite("calm", 1), &receipt);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
}

TEST(Fairness, WithoutItTheStormTakesAll) {
  TestServer server(SmallConfig("fail_fast", kCapacity));
  server.store().Hold();
  AsyncCaller calls(server.NewChannel());
  calls.Submit(FromSite("storm", 0));
  server.store().AwaitInFlight(1);
  for (std::size_t i = 1; i < 50; ++i) calls.Submit(FromSite("storm", i));
  server.AwaitQueued(kCapacity);
  const AsyncSubmit& calm = calls.SubmitAndWait(FromSite("calm", 1));
  EXPECT_EQ(calm.status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  server.store().Release();
}

TEST(Fairness, LanesAreCountedWhileSomethingIsQueued) {
  StormyServer stormy(FairConfig());
  stormy.calls().Submit(FromSite("calm", 1));
  stormy.server().AwaitQueued(kCapacity / 2 + 1);
  EXPECT_NE(
      stormy.server().Get("/metrics").find("sluice_lanes{pool=\"clinical\"} 2"),
      std::string::npos);
}

// A server whose store is blocked. It acknowledges from a queue in memory, and
// site "storm" has filled its half of the queue.
class RefusingServer {
 public:
  RefusingServer() : server_(AcknowledgingConfig()) {
    server_.store().Hold();
    for (std::size_t i = 0; i <= kCapacity / 2; ++i) {
      EXPECT_TRUE(Submit("storm", i).ok());
      if (i == 0) server_.store().AwaitInFlight(1);
    }
  }
  ~RefusingServer() { server_.store().Release(); }

  TestServer& server() { return server_; }

  // Submits with metadata, which lets the server refuse the call unread.
  grpc::Status Submit(const std::string& site, std::size_t number,
                      bool metadata = true) {
    grpc::ClientContext context;
    const v1::SubmitRequest request = FromSite(site, number);
    if (metadata) {
      context.AddMetadata("sluice-study", request.study_id());
      context.AddMetadata("sluice-site", site);
    }
    v1::Receipt receipt;
    return server_.stub().Submit(&context, request, &receipt);
  }
  // Returns the time until a further submission of the storm is refused.
  Duration Refusal(bool metadata) {
    const TimePoint began = std::chrono::steady_clock::now();
    EXPECT_EQ(Submit("storm", 1000 + number_++, metadata).error_code(),
              grpc::StatusCode::RESOURCE_EXHAUSTED);
    return std::chrono::steady_clock::now() - began;
  }
  // Returns true if a refusal waits after a submission of another site was
  // served. Tries again, because on a busy machine the refusal may come late.
  bool HoldsBesideAnotherSite(bool metadata) {
    for (std::size_t i = 0; i < kCapacity / 4; ++i) {
      EXPECT_TRUE(Submit("calm", i).ok());
      if (Refusal(metadata) >= RefusalPace::kHold) return true;
    }
    return false;
  }

 private:
  static Config AcknowledgingConfig() {
    Config config = FairConfig();
    config.methods[Index(Method::kSubmit)].ack = Ack::kQueued;
    return config;
  }

  TestServer server_;
  std::size_t number_ = 0;
};

TEST(Fairness, ARefusalWaitsWhileAnotherSiteIsServed) {
  for (const bool metadata : {false, true}) {
    EXPECT_TRUE(RefusingServer().HoldsBesideAnotherSite(metadata)) << metadata;
  }
}

TEST(Fairness, ALoneSitesRefusalsDoNotWait) {
  for (const bool metadata : {false, true}) {
    RefusingServer server;
    // The least of several times, because the machine may be busy.
    Duration least = RefusalPace::kHold;
    for (int i = 0; i < 20; ++i) {
      least = std::min(least, server.Refusal(metadata));
    }
    EXPECT_LT(least, RefusalPace::kHold) << metadata;
  }
}

TEST(Fairness, ACallerMayCancelWhileItsRefusalWaits) {
  RefusingServer refusing;
  AsyncCaller calls(refusing.server().NewChannel());
  EXPECT_TRUE(refusing.Submit("calm", 0).ok());
  std::vector<AsyncSubmit*> cancelled;
  for (std::size_t i = 0; i < 50; ++i) {
    cancelled.push_back(&calls.Submit(FromSite("storm", 1000 + i)));
  }
  // The first refusals wait now.
  EXPECT_TRUE(refusing.Submit("calm", 1).ok());
  for (AsyncSubmit* call : cancelled) call->context.TryCancel();
  EXPECT_EQ(calls.AwaitEnded(cancelled.size()), cancelled.size());
  // The destructor of the server checks that no call is left.
}

TEST(Fairness, ADrainSendsTheRefusalsThatWait) {
  RefusingServer refusing;
  AsyncCaller calls(refusing.server().NewChannel());
  EXPECT_TRUE(refusing.Submit("calm", 0).ok());
  for (std::size_t i = 0; i < 50; ++i) {
    calls.Submit(FromSite("storm", 1000 + i));
  }
  EXPECT_TRUE(refusing.Submit("calm", 1).ok());
  refusing.server().store().Release();
  refusing.server().Drain();
  EXPECT_EQ(calls.AwaitEnded(50), 50u);
}

TEST(Fairness, MalformedMetadataIsNamed) {
  TestServer server(FairConfig());
  for (const char* key : {"sluice-study", "sluice-site"}) {
    for (const std::string& bad : {std::string(), std::string(129, 'x')}) {
      grpc::ClientContext context;
      context.AddMetadata(key, bad);
      v1::Receipt receipt;
      const grpc::Status status =
          server.stub().Submit(&context, FromSite("calm", 1), &receipt);
      EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
      const auto details = FindDetail<google::rpc::BadRequest>(status);
      ASSERT_TRUE(details.has_value());
      EXPECT_EQ(details->field_violations(0).field(), key) << bad.size();
    }
  }
}

}  // namespace
}  // namespace sluice
