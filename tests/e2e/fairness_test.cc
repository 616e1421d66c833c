// Tests pools that are shared fairly: other sites are served while one site
// sends a storm of submissions.

#include <cstddef>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "google/rpc/error_details.pb.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"
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
