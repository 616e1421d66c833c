// Tests sluice-datastore alone. tests/stores/datastore_store_test.cc tests it
// together with its client.

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"
#include "stores/datastore_messages.h"
#include "stores/discard_store.h"
#include "tests/fakes/fake_ingestion.h"
#include "tests/fakes/patience.h"
#include "tests/tools/run_tool.h"
#include "tools/datastore/datastore_server.h"
#include "tools/datastore/datastore_service.h"

namespace sluice {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// A store whose SaveBatch blocks until it is released.
class HeldStore final : public Store {
 public:
  absl::Status SaveBatch(absl::Span<const Submission> /*batch*/,
                         absl::Span<Saved> /*saved*/) override {
    absl::MutexLock lock(&mutex_);
    in_save_ = true;
    mutex_.Await(absl::Condition(&released_));
    return absl::OkStatus();
  }
  absl::StatusOr<std::vector<std::optional<StoredReceipt>>> FindReceipts(
      std::string_view /*study_id*/,
      absl::Span<const std::string> submission_ids) override {
    return std::vector<std::optional<StoredReceipt>>(submission_ids.size());
  }
  absl::StatusOr<std::int64_t> LastSequence() override { return 1; }
  absl::Status Check() override { return absl::OkStatus(); }

  bool AwaitInSave() {
    absl::MutexLock lock(&mutex_);
    return mutex_.AwaitWithTimeout(absl::Condition(&in_save_), kPatience);
  }
  void Release() {
    absl::MutexLock lock(&mutex_);
    released_ = true;
  }

 private:
  absl::Mutex mutex_;
  bool in_save_ ABSL_GUARDED_BY(mutex_) = false;
  bool released_ ABSL_GUARDED_BY(mutex_) = false;
};

// A service on a free port, and its client.
class Served {
 public:
  Served(Store* store, DatastoreServiceOptions options)
      : service_(store, std::move(options)),
        server_(*DatastoreServer::Start("127.0.0.1:0", &service_)),
        stub_(v1::Datastore::NewStub(
            grpc::CreateChannel(absl::StrCat("127.0.0.1:", server_->port()),
                                grpc::InsecureChannelCredentials()))) {}

  v1::Datastore::Stub& stub() { return *stub_; }
  DatastoreCounts counts() const { return service_.counts(); }

  grpc::StatusCode Save(const v1::SaveBatchRequest& request) {
    grpc::ClientContext context;
    v1::SaveBatchResponse response;
    return stub_->SaveBatch(&context, request, &response).error_code();
  }

 private:
  DatastoreService service_;
  const std::unique_ptr<DatastoreServer> server_;
  const std::unique_ptr<v1::Datastore::Stub> stub_;
};

v1::SaveBatchRequest OneSubmission() {
  v1::SaveBatchRequest request;
  Submission submission;
  submission.sequence = 1;
  submission.submission_id = "1";
  *request.add_submissions() = ToMessage(submission);
  return request;
}

TEST(DatastoreService, IsAsSlowAndAsFaultyAsItIsTold) {
  DiscardStore store({});
  absl::Mutex mutex;
  std::vector<absl::Duration> slept;
  std::atomic<double> uniform = 0.5;
  Served served(&store, {.delay = absl::Milliseconds(5),
                         .fail_rate = 0.5,
                         .uniform = [&uniform] { return uniform.load(); },
                         .sleep =
                             [&](absl::Duration d) {
                               absl::MutexLock lock(&mutex);
                               slept.push_back(d);
                             }});
  EXPECT_EQ(served.Save(OneSubmission()), grpc::StatusCode::OK);
  uniform = 0.49;
  EXPECT_EQ(served.Save(OneSubmission()), grpc::StatusCode::UNAVAILABLE);
  {
    absl::MutexLock lock(&mutex);
    EXPECT_THAT(slept,
                ElementsAre(absl::Milliseconds(5), absl::Milliseconds(5)));
  }
  EXPECT_EQ(served.counts().batches, 1);
  EXPECT_EQ(served.counts().submissions, 1);
  EXPECT_EQ(served.counts().failed, 1);
}

TEST(DatastoreService, CountsCallsInFlight) {
  DiscardStore store({});
  absl::Mutex mutex;
  int waiting = 0;
  const auto all_there = [&waiting] { return waiting == 3; };
  Served served(&store, {.sleep = [&](absl::Duration) {
    absl::MutexLock lock(&mutex);
    ++waiting;
    mutex.AwaitWithTimeout(absl::Condition(&all_there), kPatience);
  }});
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; ++i) {
    threads.emplace_back([&served] { served.Save(OneSubmission()); });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(served.counts().peak_in_flight, 3);
  EXPECT_EQ(served.counts().in_flight, 0);
}

TEST(DatastoreService, RefusesWhatIsNoSubmission) {
  DiscardStore store({});
  Served served(&store, {});
  v1::SaveBatchRequest request = OneSubmission();
  request.mutable_submissions(0)->clear_kind();
  EXPECT_EQ(served.Save(request), grpc::StatusCode::INVALID_ARGUMENT);
}

TEST(DatastoreService, RefusesReadsWithLimitsOutOfRange) {
  DiscardStore store({});
  Served served(&store, {});
  const auto read = [&served](std::int64_t after, std::int64_t max_submissions,
                              std::int64_t max_bytes) {
    v1::ReadRequest request;
    request.set_after(after);
    request.set_max_submissions(max_submissions);
    request.set_max_bytes(max_bytes);
    grpc::ClientContext context;
    v1::ReadResponse response;
    return served.stub().Read(&context, request, &response).error_code();
  };
  EXPECT_EQ(read(0, 1, 0), grpc::StatusCode::OK);
  EXPECT_EQ(read(-1, 1, 0), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(read(0, 0, 0), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(read(0, -1, 0), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(read(0, 1, -1), grpc::StatusCode::INVALID_ARGUMENT);
}

TEST(DatastoreService, TellsTheLastSequenceWhenBatchesThatHaveBegunAreDone) {
  HeldStore store;
  Served served(&store, {});
  std::thread saving([&served] { served.Save(OneSubmission()); });
  EXPECT_TRUE(store.AwaitInSave());
  grpc::ClientContext context;
  context.set_deadline(absl::ToChronoTime(absl::Now() + absl::Seconds(1)));
  v1::LastSequenceResponse response;
  EXPECT_EQ(served.stub().LastSequence(&context, {}, &response).error_code(),
            grpc::StatusCode::DEADLINE_EXCEEDED);
  store.Release();
  saving.join();
  grpc::ClientContext again;
  EXPECT_TRUE(served.stub().LastSequence(&again, {}, &response).ok());
}

TEST(SluiceDatastore, BadUsageIsTold) {
  for (const std::vector<std::string>& arguments :
       std::vector<std::vector<std::string>>{{},
                                             {"--discard", "--path=x.db"},
                                             {"--discard", "more"},
                                             {"--discard", "--delay=-1s"},
                                             {"--discard", "--delay=2m"},
                                             {"--discard", "--fail_rate=1.1"},
                                             {"--discard", "--fail_rate=nan"},
                                             {"--no_such_flag"}}) {
    const ToolRun run = RunTool(SLUICE_DATASTORE, arguments);
    EXPECT_EQ(run.exit_code, 2) << testing::PrintToString(arguments);
    EXPECT_THAT(run.err, testing::StartsWith("sluice-datastore: "));
    EXPECT_EQ(run.out, "");
  }
}

TEST(SluiceDatastore, FailsWhereItCannotServe) {
  FakeIngestion other;
  const ToolRun run =
      RunTool(SLUICE_DATASTORE,
              {"--discard", absl::StrCat("--listen=", other.target())});
  EXPECT_EQ(run.exit_code, 1);
  EXPECT_THAT(run.err, HasSubstr("cannot listen on"));
  EXPECT_EQ(RunTool(SLUICE_DATASTORE, {"--path=/dev/null/x.db"}).exit_code, 1);
}

TEST(SluiceDatastore, Helps) {
  const ToolRun run = RunTool(SLUICE_DATASTORE, {"--help"});
  EXPECT_EQ(run.exit_code, 0);
  EXPECT_THAT(run.out, HasSubstr("usage: sluice-datastore"));
  EXPECT_THAT(run.out, HasSubstr("--fail_rate"));
}

}  // namespace
}  // namespace sluice
