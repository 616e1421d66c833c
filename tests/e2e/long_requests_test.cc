// Long requests wait for their turn on the completion loop while short ones
// arrive. Their callers may leave meanwhile.

#include <atomic>
#include <chrono>
#include <cstddef>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"
#include "server/transport/completion_loop.h"
#include "tests/fakes/test_server.h"

namespace sluice {
namespace {

using std::chrono::milliseconds;
using testing::AnyOf;

// Long enough that reading it takes a noticeable time.
constexpr std::size_t kLongBytes = 1 << 20;
static_assert(kLongBytes > CompletionLoop::kShortMax);

v1::SubmitRequest LongSubmit(const std::string& id) {
  v1::SubmitRequest request = MakeSubmit(id);
  v1::QuestionnaireResponse::Item* item =
      request.mutable_response()->add_item();
  item->set_link_id("1");
  item->add_answer()->set_string(std::string(kLongBytes, 'a'));
  return request;
}

v1::ImportPatientsRequest LongImport() {
  v1::ImportPatientsRequest request;
  request.set_study_id("study");
  v1::PatientRecord* record = request.add_records();
  record->set_record_id("long");
  record->set_patient_id("Patient/1");
  record->set_data(std::string(kLongBytes, 'a'));
  return request;
}

v1::GetReceiptsRequest LongLookup() {
  v1::GetReceiptsRequest request;
  request.set_study_id("study");
  for (int i = 0; i < 10'000; ++i) {
    request.add_submission_ids(
        absl::StrCat("a submission that is unknown ", i));
  }
  return request;
}

// Sends short submissions, one after the other, until it is destroyed.
class ShortCalls {
 public:
  explicit ShortCalls(TestServer* server)
      : thread_([this, server] {
          for (int i = 0; !ends_; ++i) {
            grpc::ClientContext context;
            v1::Receipt receipt;
            const grpc::Status status = server->stub().Submit(
                &context, MakeSubmit(absl::StrCat("short ", i)), &receipt);
            EXPECT_TRUE(status.ok()) << status.error_message();
          }
        }) {}
  ~ShortCalls() {
    ends_ = true;
    thread_.join();
  }

 private:
  std::atomic<bool> ends_{false};
  std::thread thread_;
};

TEST(LongRequests, EndWhereverTheirCallersLeave) {
  TestServer server(SmallConfig("block", 64));
  const v1::SubmitRequest submit = LongSubmit("left");
  const v1::ImportPatientsRequest import = LongImport();
  const v1::GetReceiptsRequest lookup = LongLookup();
  const std::vector<std::function<grpc::Status(grpc::ClientContext*)>> calls = {
      [&](grpc::ClientContext* context) {
        v1::Receipt receipt;
        return server.stub().Submit(context, submit, &receipt);
      },
      [&](grpc::ClientContext* context) {
        v1::ImportPatientsResponse response;
        return server.stub().ImportPatients(context, import, &response);
      },
      [&](grpc::ClientContext* context) {
        v1::GetReceiptsResponse response;
        return server.stub().GetReceipts(context, lookup, &response);
      }};
  {
    const ShortCalls short_calls(&server);
    std::vector<std::thread> callers;
    for (const auto& call : calls) {
      callers.emplace_back([&call] {
        for (int i = 0; i < 30; ++i) {
          grpc::ClientContext context;
          context.set_deadline(std::chrono::system_clock::now() +
                               milliseconds(i));
          const grpc::Status status = call(&context);
          // A call whose time is too short may be refused at once.
          EXPECT_THAT(
              status.error_code(),
              AnyOf(grpc::StatusCode::OK, grpc::StatusCode::DEADLINE_EXCEEDED,
                    grpc::StatusCode::RESOURCE_EXHAUSTED))
              << status.error_message();
        }
      });
    }
    for (std::thread& caller : callers) caller.join();
  }
  // A request that has left keeps no place among those that wait.
  for (std::size_t sent = 0; sent <= CompletionLoop::kLongWaitingMax;
       sent += kLongBytes) {
    grpc::ClientContext context;
    v1::Receipt receipt;
    const grpc::Status status = server.stub().Submit(
        &context, LongSubmit(absl::StrCat("stays ", sent)), &receipt);
    ASSERT_TRUE(status.ok()) << status.error_message();
  }
}

TEST(LongRequests, OfAStreamHaveReceiptsBesideShortOnes) {
  TestServer server(SmallConfig("block", 64));
  const ShortCalls short_calls(&server);
  grpc::ClientContext context;
  const auto stream = server.stub().SubmitStream(&context);
  constexpr int kMessages = 20;
  for (int i = 0; i < kMessages; ++i) {
    const std::string id = absl::StrCat("message ", i);
    ASSERT_TRUE(stream->Write(i % 2 == 0 ? LongSubmit(id) : MakeSubmit(id)));
  }
  ASSERT_TRUE(stream->WritesDone());
  int stored = 0;
  v1::Receipt receipt;
  while (stream->Read(&receipt)) {
    stored += receipt.disposition() == v1::Receipt::STORED ? 1 : 0;
  }
  const grpc::Status status = stream->Finish();
  EXPECT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(stored, kMessages);
}

}  // namespace
}  // namespace sluice
