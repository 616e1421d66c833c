#include "tests/crash/receipt_check.h"

#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"
#include "tests/stores/store_fixture.h"

namespace sluice {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using v1::Receipt;

// Answers with one stored submission.
class FakeReceipts final : public v1::Ingestion::Service {
 public:
  FakeReceipts() {
    int port = 0;
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(),
                             &port);
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
    stub_ = v1::Ingestion::NewStub(grpc::CreateChannel(
        absl::StrCat("127.0.0.1:", port), grpc::InsecureChannelCredentials()));
  }

  grpc::Status GetReceipts(grpc::ServerContext*,
                           const v1::GetReceiptsRequest* request,
                           v1::GetReceiptsResponse* response) override {
    for (const std::string& id : request->submission_ids()) {
      Receipt& receipt = *response->add_receipts();
      receipt = stored;
      receipt.set_submission_id(id);
    }
    return grpc::Status::OK;
  }
  v1::Ingestion::Stub& stub() { return *stub_; }

  Receipt stored;

 private:
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<v1::Ingestion::Stub> stub_;
};

TEST(CheckReceipts, FindsANumberThatIsNoLongerKnown) {
  const LedgerKey key = {"study", "a"};
  const Sha256Digest sha256 = FakeDigest("content");
  Ledger ledger;
  for (const std::int64_t sequence : {1, 2}) {
    ledger.RecordSent(key, SubmissionKind::kPatientRecord, sha256);
    ledger.RecordTold(key, {.round = 1,
                            .method = "Submit",
                            .disposition = Receipt::QUEUED,
                            .sent_sha256 = sha256,
                            .sequence = sequence,
                            .received_at = absl::UnixEpoch(),
                            .told_sha256 = sha256});
  }
  FakeReceipts server;
  server.stored.set_disposition(Receipt::STORED);
  server.stored.set_sequence(1);
  server.stored.set_content_sha256(
      std::string(reinterpret_cast<const char*>(sha256.data()), sha256.size()));

  CampaignAudit lost(ledger);
  ASSERT_TRUE(CheckReceipts(server.stub(), ledger, lost).ok());
  EXPECT_THAT(lost.Report().breach_texts,
              testing::ElementsAre(HasSubstr("under the number 2")));

  server.stored.add_other_sequences(2);
  CampaignAudit whole(ledger);
  ASSERT_TRUE(CheckReceipts(server.stub(), ledger, whole).ok());
  EXPECT_THAT(whole.Report().breach_texts, IsEmpty());
}

}  // namespace
}  // namespace sluice
