#include "server/admin/admin_server.h"

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"
#include "server/admin/admin_service.h"
#include "server/admin/store_export.h"
#include "tests/fakes/admin_fixture.h"
#include "tests/fakes/patience.h"
#include "tests/fakes/test_server.h"

namespace sluice {
namespace {

class AdminServerTest : public AdminFixture {
 protected:
  // Stores more than fits into the buffers between a sender and a stopped
  // reader.
  void StoreMuch() {
    Submission submission = StoredSubmission(1);
    for (std::int64_t n = 1; n <= 200; ++n) {
      submission.sequence = n;
      submission.content.assign(std::size_t{1} << 20, 'x');
      store().Add(submission);
    }
    backend_.SetLastSequence(200);
  }

  // Begins an export and reads only its first message, so that it stays in
  // progress.
  std::unique_ptr<grpc::ClientReader<v1::ExportResponse>> BeginExport(
      grpc::ClientContext* context) {
    auto reader = stub_->Export(context, {});
    v1::ExportResponse response;
    EXPECT_TRUE(reader->Read(&response));
    return reader;
  }

  // True if another export may begin.
  bool CanExport() {
    grpc::ClientContext context;
    v1::ExportRequest request;
    request.set_after_sequence(200);
    const auto reader = stub_->Export(&context, request);
    v1::ExportResponse response;
    while (reader->Read(&response)) {
    }
    return reader->Finish().ok();
  }
};

TEST_F(AdminServerTest, AnAddressInUseIsAnErrorThatNamesTheKey) {
  const auto other = AdminServer::Start(
      absl::StrCat("127.0.0.1:", server_->port()), &backend_);
  EXPECT_EQ(other.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(other.status().message()),
              testing::StartsWith("admin: "));
}

TEST_F(AdminServerTest, AnExportIsReadAsFastAsItsReaderReads) {
  StoreMuch();
  grpc::ClientContext context;
  const auto reader = BeginExport(&context);
  // The reader has stopped. A few pages are in buffers; the remaining pages
  // must not have been read from the store.
  EXPECT_LT(store().reads(), 20);
  std::size_t count = 1;
  v1::ExportResponse response;
  while (reader->Read(&response)) count += response.has_submission() ? 1 : 0;
  EXPECT_TRUE(reader->Finish().ok());
  EXPECT_EQ(count, 200U);
  EXPECT_GE(store().reads(), 50);
}

TEST_F(AdminServerTest, ACallerThatCancelsFreesItsPlace) {
  StoreMuch();
  std::vector<std::unique_ptr<grpc::ClientContext>> contexts;
  std::vector<std::unique_ptr<grpc::ClientReader<v1::ExportResponse>>> readers;
  for (int i = 0; i < AdminService::kExportsMax; ++i) {
    contexts.push_back(std::make_unique<grpc::ClientContext>());
    readers.push_back(BeginExport(contexts.back().get()));
  }
  EXPECT_FALSE(CanExport());
  contexts.front()->TryCancel();
  EXPECT_EQ(readers.front()->Finish().error_code(),
            grpc::StatusCode::CANCELLED);
  AwaitThat("another export may begin", [this] { return CanExport(); });
  for (const auto& context : contexts) context->TryCancel();
}

TEST_F(AdminServerTest, ShutdownCancelsAnExport) {
  StoreMuch();
  grpc::ClientContext context;
  // The deadline is later than the end of Shutdown, so that it does not end the
  // call.
  context.set_deadline(absl::ToChronoTime(absl::Now() + 3 * kPatience));
  const auto reader = BeginExport(&context);
  EXPECT_TRUE(server_->Shutdown(kPatience));
  v1::ExportResponse response;
  while (reader->Read(&response)) {
  }
  EXPECT_FALSE(reader->Finish().ok());
  EXPECT_LT(store().reads(), 51);
  EXPECT_TRUE(server_->Shutdown(absl::ZeroDuration()));
}

TEST_F(AdminServerTest, ShutdownDoesNotHangIfTheStoreDoes) {
  StoreRange(1, 1);
  store().Hold();
  grpc::ClientContext context;
  context.set_deadline(absl::ToChronoTime(absl::Now() + kPatience));
  const auto reader = stub_->Export(&context, {});
  store().AwaitHeld(1);
  EXPECT_FALSE(server_->Shutdown(absl::Milliseconds(1)));
  // The caller still gets its answer at once.
  v1::ExportResponse response;
  EXPECT_FALSE(reader->Read(&response));
  EXPECT_FALSE(reader->Finish().ok());
  store().Release();
  AwaitThat("the server is down", [&] { return server_->Shutdown({}); });
}

TEST_F(AdminServerTest, AfterShutdownNobodyIsServed) {
  ASSERT_TRUE(server_->Shutdown(kPatience));
  grpc::ClientContext context;
  v1::ListQuarantineResponse response;
  EXPECT_EQ(NewStub()->ListQuarantine(&context, {}, &response).error_code(),
            grpc::StatusCode::UNAVAILABLE);
}

}  // namespace
}  // namespace sluice
