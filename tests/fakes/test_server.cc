#include "tests/fakes/test_server.h"

#include <cstdlib>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"
#include "tests/fakes/patience.h"
#include "tests/fakes/tcp_connection.h"

namespace sluice {
namespace {

// Passes all calls on to a store that the test owns. The server owns this
// object.
class ForwardingStore final : public Store {
 public:
  explicit ForwardingStore(Store* store) : store_(store) {}

  absl::Status SaveBatch(absl::Span<const Submission> batch,
                         absl::Span<Saved> saved) override {
    return store_->SaveBatch(batch, saved);
  }
  absl::StatusOr<std::vector<std::optional<StoredReceipt>>> FindReceipts(
      std::string_view study_id,
      absl::Span<const std::string> submission_ids) override {
    return store_->FindReceipts(study_id, submission_ids);
  }
  absl::StatusOr<std::vector<std::vector<std::int64_t>>> FindOtherSequences(
      absl::Span<const std::int64_t> sequences) override {
    return store_->FindOtherSequences(sequences);
  }
  absl::StatusOr<std::int64_t> LastSequence() override {
    return store_->LastSequence();
  }
  ServerRegistry* registry() override { return store_->registry(); }
  absl::Status Check() override { return store_->Check(); }
  std::uint32_t Generation() override { return store_->Generation(); }

 private:
  Store* const store_;
};

}  // namespace

Config SmallConfig(std::string_view on_full, std::size_t capacity) {
  Config config;
  config.listen = "127.0.0.1:0";
  config.metrics = "127.0.0.1:0";
  config.completion_queues = 1;
  config.pools["clinical"] = {.queue_capacity = capacity,
                              .workers = {.min = 1, .max = 1},
                              .batch_max = 1};
  config.pools[std::string(kReceiptsPool)] = {
      .queue_capacity = 16, .workers = {.min = 1, .max = 1}, .batch_max = 16};
  for (MethodConfig& method : config.methods) {
    method.pool = "clinical";
    method.on_full = on_full;
  }
  MethodConfig& lookup = config.methods[Index(Method::kGetReceipts)];
  lookup.pool = kReceiptsPool;
  lookup.on_full = "fail_fast";
  return config;
}

v1::SubmitRequest MakeSubmit(std::string_view submission_id) {
  v1::SubmitRequest request;
  request.set_submission_id(std::string(submission_id));
  request.set_study_id("study");
  request.set_site_id("site");
  v1::QuestionnaireResponse& response = *request.mutable_response();
  response.set_questionnaire("http://example.org/phq-9|1.0");
  response.set_status(v1::QuestionnaireResponse::COMPLETED);
  response.mutable_subject()->set_reference("Patient/1");
  response.set_authored("2026-03-01T20:15:00+01:00");
  auto* item = response.add_item();
  item->set_link_id("44250-9");
  item->add_answer()->mutable_coding()->set_code("LA6569-3");
  return request;
}

TestServer::TestServer(const Config& config, ProcessingStep step,
                       Clock* clock) {
  Start(config, std::make_unique<ForwardingStore>(&gated_store_),
        std::move(step), clock);
}

TestServer::TestServer(const Config& config, std::unique_ptr<Store> store,
                       ProcessingStep step) {
  Start(config, std::move(store), std::move(step));
}

void TestServer::Start(const Config& config, std::unique_ptr<Store> store,
                       ProcessingStep step, Clock* clock) {
  auto server = IngestionServer::Start({.config = config,
                                        .store = std::move(store),
                                        .step = std::move(step),
                                        .clock = clock});
  if (!server.ok()) {
    ADD_FAILURE() << server.status();
    std::abort();
  }
  server_ = *std::move(server);
  stub_ = v1::Ingestion::NewStub(MakeChannel({}));
}

TestServer::~TestServer() {
  gated_store_.Release();
  if (!drained_) Drain();
}

DrainReport TestServer::Drain() {
  drained_ = true;
  const DrainReport report = server_->Drain();
  EXPECT_TRUE(report.balanced());
  EXPECT_FALSE(report.stuck());
  for (const auto& [method, counters] : report.methods) {
    EXPECT_EQ(counters.waiting, 0u) << MethodName(method);
    EXPECT_EQ(counters.queued, 0u) << MethodName(method);
    EXPECT_EQ(counters.in_work, 0u) << MethodName(method);
  }
  EXPECT_EQ(report.calls_left, 0);
  return report;
}

std::shared_ptr<grpc::Channel> TestServer::NewChannel(
    grpc::ChannelArguments arguments) const {
  auto channel = MakeChannel(std::move(arguments));
  // The first attempt to connect may fail: gRPC reads errno late, after Abseil
  // may have overwritten it while it looked for a file that few systems have.
  EXPECT_TRUE(
      channel->WaitForConnected(absl::ToChronoTime(absl::Now() + kPatience)));
  return channel;
}

std::shared_ptr<grpc::Channel> TestServer::MakeChannel(
    grpc::ChannelArguments arguments) const {
  // Give the channel its own connection.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetMaxReceiveMessageSize(-1);
  return grpc::CreateCustomChannel(
      address(), grpc::InsecureChannelCredentials(), arguments);
}

std::string TestServer::address() const {
  return absl::StrCat("127.0.0.1:", server_->port());
}

std::string TestServer::Get(std::string_view path) const {
  return HttpGet(server_->metrics_port(), path);
}

void TestServer::AwaitReady() const {
  AwaitThat("the server is ready", [&] {
    const std::string text = Get("/readyz");
    return text.starts_with("ok\n") &&
           text.find("degraded: ") == std::string::npos;
  });
}

void TestServer::AwaitDegraded(std::string_view text) const {
  AwaitThat("the server is degraded", [&] {
    const std::string answer = Get("/readyz");
    const std::size_t at = answer.find("degraded: ");
    return at != std::string::npos &&
           answer.find(text, at) != std::string::npos;
  });
}

PoolView TestServer::view(const std::string& pool) const {
  return server_->Snapshots().at(pool).view;
}

MethodCounters TestServer::counters(Method method) const {
  for (const auto& [name, snapshot] : server_->Snapshots()) {
    if (snapshot.counters[Index(method)].received > 0) {
      return snapshot.counters[Index(method)];
    }
  }
  return {};
}

void TestServer::AwaitQueued(std::size_t count) {
  AwaitThat(absl::StrCat(count, " submissions are queued"),
            [&] { return view().depth == count; });
}

void TestServer::AwaitWaiting(std::size_t count) {
  AwaitThat(absl::StrCat(count, " submissions are parked"),
            [&] { return view().waiting == count; });
}

v1::Receipt Lookup(TestServer& server, const std::string& submission_id) {
  grpc::ClientContext context;
  v1::GetReceiptsRequest request;
  request.set_study_id("study");
  request.add_submission_ids(submission_id);
  v1::GetReceiptsResponse response;
  const grpc::Status status =
      server.stub().GetReceipts(&context, request, &response);
  EXPECT_TRUE(status.ok()) << status.error_message();
  return response.receipts_size() == 1 ? response.receipts(0) : v1::Receipt();
}

}  // namespace sluice
