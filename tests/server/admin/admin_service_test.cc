#include "server/admin/admin_service.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "google/protobuf/text_format.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"
#include "server/admin/sequence_gaps.h"
#include "server/admin/store_export.h"
#include "tests/fakes/admin_fixture.h"

namespace sluice {
namespace {

using grpc::StatusCode;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::Pair;

Quarantined InQuarantine(std::int64_t sequence) {
  Quarantined quarantined;
  quarantined.method = "Submit";
  quarantined.submission = StoredSubmission(sequence);
  quarantined.reason = "the store says no";
  quarantined.tries = 3;
  quarantined.quarantined_at = absl::FromUnixSeconds(1'700'009'999);
  return quarantined;
}

std::vector<std::int64_t> Sequences(
    const v1::ListQuarantineResponse& response) {
  std::vector<std::int64_t> sequences;
  for (const auto& entry : response.entries()) {
    sequences.push_back(entry.sequence());
  }
  return sequences;
}

class AdminServiceTest : public AdminFixture {
 protected:
  grpc::Status Discard(const v1::DiscardQuarantinedRequest& request) {
    grpc::ClientContext context;
    v1::DiscardQuarantinedResponse response;
    return stub_->DiscardQuarantined(&context, request, &response);
  }
  grpc::Status List(const v1::ListQuarantineRequest& request,
                    v1::ListQuarantineResponse* response) {
    grpc::ClientContext context;
    return stub_->ListQuarantine(&context, request, response);
  }
  grpc::Status Get(const v1::GetQuarantinedRequest& request,
                   v1::GetQuarantinedResponse* response) {
    grpc::ClientContext context;
    return stub_->GetQuarantined(&context, request, response);
  }
  grpc::Status Retry(const v1::RetryQuarantinedRequest& request,
                     v1::RetryQuarantinedResponse* response) {
    grpc::ClientContext context;
    return stub_->RetryQuarantined(&context, request, response);
  }
};

// --- Quarantine ---

TEST_F(AdminServiceTest, ListsTheQuarantineWithoutContents) {
  backend_.AddQuarantined("imports", InQuarantine(7));
  v1::ListQuarantineResponse response;
  ASSERT_TRUE(List({}, &response).ok());
  ASSERT_EQ(response.entries_size(), 1);
  const v1::QuarantinedSubmission& entry = response.entries(0);
  EXPECT_EQ(entry.pool(), "imports");
  EXPECT_EQ(entry.sequence(), 7);
  EXPECT_EQ(entry.study_id(), "S");
  EXPECT_EQ(entry.submission_id(), "id-7");
  EXPECT_EQ(entry.kind(), v1::QUESTIONNAIRE_RESPONSE);
  EXPECT_EQ(entry.method(), "Submit");
  EXPECT_EQ(entry.reason(), "the store says no");
  EXPECT_EQ(entry.tries(), 3);
  EXPECT_EQ(entry.received_at().seconds(), 1'700'000'007);
  EXPECT_EQ(entry.quarantined_at().seconds(), 1'700'009'999);
  EXPECT_EQ(entry.content_sha256().size(), 32U);
  EXPECT_EQ(entry.content_bytes(), 12);
  EXPECT_FALSE(response.more());
  EXPECT_THAT(response.DebugString(), Not(HasSubstr("content of")));
}

TEST_F(AdminServiceTest, ListsADamagedSubmissionWhoseTextsAreNotUtf8) {
  Quarantined damaged = InQuarantine(7);
  damaged.submission.study_id = "st\xff";
  damaged.reason = "damaged in the journal's file";
  damaged.damaged = true;
  backend_.AddQuarantined("imports", damaged);
  grpc::ClientContext context;
  v1::ListQuarantineResponse response;
  ASSERT_TRUE(stub_->ListQuarantine(&context, {}, &response).ok());
  ASSERT_EQ(response.entries_size(), 1);
  EXPECT_EQ(response.entries(0).study_id(), "st\\xff");
  EXPECT_EQ(response.entries(0).reason(), damaged.reason);
}

TEST_F(AdminServiceTest, PagesGoThroughAllPoolsInTheOrderOfSequence) {
  for (const std::int64_t n : {1, 4, 5}) {
    backend_.AddQuarantined("clinical", InQuarantine(n));
  }
  for (const std::int64_t n : {2, 3, 9}) {
    backend_.AddQuarantined("imports", InQuarantine(n));
  }
  v1::ListQuarantineRequest request;
  request.set_page_size(4);
  v1::ListQuarantineResponse response;
  ASSERT_TRUE(List(request, &response).ok());
  EXPECT_THAT(Sequences(response), ElementsAre(1, 2, 3, 4));
  EXPECT_TRUE(response.more());

  request.set_after_sequence(4);
  ASSERT_TRUE(List(request, &response).ok());
  EXPECT_THAT(Sequences(response), ElementsAre(5, 9));
  EXPECT_FALSE(response.more());

  request.set_after_sequence(0);
  request.set_pool("imports");
  ASSERT_TRUE(List(request, &response).ok());
  EXPECT_THAT(Sequences(response), ElementsAre(2, 3, 9));
}

TEST_F(AdminServiceTest, PagesAreBounded) {
  for (std::int64_t n = 1; n <= 101; ++n) {
    backend_.AddQuarantined("clinical", InQuarantine(n));
  }
  v1::ListQuarantineResponse response;
  ASSERT_TRUE(List({}, &response).ok());
  EXPECT_EQ(response.entries_size(), AdminService::kPageSize);
  EXPECT_TRUE(response.more());

  v1::ListQuarantineRequest request;
  request.set_page_size(AdminService::kPageSizeMax + 1);
  EXPECT_EQ(List(request, &response).error_code(),
            StatusCode::INVALID_ARGUMENT);
  request.set_page_size(-1);
  EXPECT_EQ(List(request, &response).error_code(),
            StatusCode::INVALID_ARGUMENT);
}

TEST_F(AdminServiceTest, ABackupIsReportedFileByFile) {
  grpc::ClientContext context;
  v1::BackupRequest request;
  request.set_name("night");
  v1::BackupResponse response;
  const grpc::Status status = stub_->Backup(&context, request, &response);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(response.directory(), "/backups/night");
  EXPECT_TRUE(response.has_store());
  ASSERT_EQ(response.files_size(), 1);
  EXPECT_EQ(response.files(0).name(), "store.db");
  EXPECT_EQ(response.files(0).key(), "store.path");
  EXPECT_EQ(response.files(0).bytes(), 7);
  grpc::ClientContext again;
  EXPECT_EQ(stub_->Backup(&again, {}, &response).error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(AdminServiceTest, APoolWithoutQuarantineIsNotFound) {
  v1::ListQuarantineRequest request;
  request.set_pool("telemetry");
  v1::ListQuarantineResponse response;
  EXPECT_EQ(List(request, &response).error_code(), StatusCode::NOT_FOUND);
}

TEST_F(AdminServiceTest, ShowsOneWithItsContent) {
  v1::SubmitRequest submitted;
  submitted.set_submission_id("a");
  submitted.mutable_response()->set_questionnaire("q");
  Quarantined quarantined = InQuarantine(5);
  quarantined.submission.site_id = "SITE";
  quarantined.submission.content = submitted.SerializeAsString();
  backend_.AddQuarantined("imports", quarantined);

  v1::GetQuarantinedRequest request;
  request.set_sequence(5);
  v1::GetQuarantinedResponse response;
  ASSERT_TRUE(Get(request, &response).ok());
  EXPECT_EQ(response.entry().pool(), "imports");
  EXPECT_EQ(response.site_id(), "SITE");
  EXPECT_EQ(response.content(), submitted.SerializeAsString());
  EXPECT_EQ(response.request().response().questionnaire(), "q");

  request.Clear();
  request.set_study_id("S");
  request.set_submission_id("id-5");
  v1::GetQuarantinedResponse by_id;
  ASSERT_TRUE(Get(request, &by_id).ok());
  EXPECT_EQ(by_id.SerializeAsString(), response.SerializeAsString());
}

TEST_F(AdminServiceTest, ContentThatDoesNotParseIsShownAsItArrived) {
  Quarantined quarantined = InQuarantine(5);
  quarantined.submission.content = "\xff\xff";
  backend_.AddQuarantined("clinical", quarantined);
  v1::GetQuarantinedRequest request;
  request.set_sequence(5);
  v1::GetQuarantinedResponse response;
  ASSERT_TRUE(Get(request, &response).ok());
  EXPECT_EQ(response.content(), "\xff\xff");
  EXPECT_FALSE(response.has_request());
}

TEST_F(AdminServiceTest, OnlyQuestionnaireResponsesAreParsed) {
  Quarantined quarantined = InQuarantine(5);
  quarantined.submission.kind = SubmissionKind::kPatientRecord;
  quarantined.submission.content = "";
  backend_.AddQuarantined("clinical", quarantined);
  v1::GetQuarantinedRequest request;
  request.set_sequence(5);
  v1::GetQuarantinedResponse response;
  ASSERT_TRUE(Get(request, &response).ok());
  EXPECT_EQ(response.entry().kind(), v1::PATIENT_RECORD);
  EXPECT_FALSE(response.has_request());
}

TEST_F(AdminServiceTest, ALargeContentComesWhole) {
  Quarantined quarantined = InQuarantine(5);
  quarantined.submission.content = std::string(std::size_t{80} << 20, 'x');
  backend_.AddQuarantined("clinical", quarantined);
  v1::GetQuarantinedRequest request;
  request.set_sequence(5);
  v1::GetQuarantinedResponse response;
  const grpc::Status status = Get(request, &response);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(response.content().size(), std::size_t{80} << 20);
}

TEST_F(AdminServiceTest, ASubmissionThatIsNotInQuarantineIsNotFound) {
  backend_.AddQuarantined("imports", InQuarantine(5));
  v1::GetQuarantinedRequest request;
  request.set_sequence(4);
  v1::GetQuarantinedResponse response;
  EXPECT_EQ(Get(request, &response).error_code(), StatusCode::NOT_FOUND);
  request.set_sequence(5);
  request.set_pool("clinical");
  EXPECT_EQ(Get(request, &response).error_code(), StatusCode::NOT_FOUND);
}

TEST_F(AdminServiceTest, OneIsAskedForByOneOfBothWays) {
  for (const char* text :
       {"", "study_id: 'S'", "submission_id: 'x'", "pool: 'clinical'",
        "sequence: -1", "sequence: 5 study_id: 'S'",
        "sequence: 5 study_id: 'S' submission_id: 'id-5'"}) {
    v1::GetQuarantinedRequest request;
    ASSERT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &request));
    v1::GetQuarantinedResponse response;
    EXPECT_EQ(Get(request, &response).error_code(),
              StatusCode::INVALID_ARGUMENT)
        << text;
  }
}

// --- Retry ---

TEST_F(AdminServiceTest, RetriesTheSequencesInTheRequest) {
  backend_.AddQuarantined("clinical", InQuarantine(1));
  backend_.AddQuarantined("imports", InQuarantine(2));
  backend_.AddQuarantined("imports", InQuarantine(3));
  v1::RetryQuarantinedRequest request;
  for (const std::int64_t n : {2, 9, 1}) request.add_sequences(n);
  v1::RetryQuarantinedResponse response;
  ASSERT_TRUE(Retry(request, &response).ok());
  EXPECT_THAT(response.retried(), ElementsAre(2, 1));
  EXPECT_THAT(response.unknown(), ElementsAre(9));
  EXPECT_THAT(response.left(), IsEmpty());
  EXPECT_THAT(backend_.retried(),
              ElementsAre(Pair("imports", 2), Pair("clinical", 1)));
}

TEST_F(AdminServiceTest, RetriesAllOfAPoolOrOfAllPools) {
  for (std::int64_t n = 1; n <= 2'500; ++n) {
    backend_.AddQuarantined(n % 2 == 0 ? "clinical" : "imports",
                            InQuarantine(n));
  }
  v1::RetryQuarantinedRequest request;
  request.set_all(true);
  request.set_pool("imports");
  v1::RetryQuarantinedResponse response;
  ASSERT_TRUE(Retry(request, &response).ok());
  EXPECT_EQ(response.retried_size(), 1'250);
  request.clear_pool();
  ASSERT_TRUE(Retry(request, &response).ok());
  EXPECT_EQ(response.retried_size(), 1'250);
  EXPECT_EQ(backend_.retried().size(), 2'500U);
}

TEST_F(AdminServiceTest, AFullQueueLeavesTheRestInQuarantine) {
  for (std::int64_t n = 1; n <= 3; ++n) {
    backend_.AddQuarantined("clinical", InQuarantine(n));
  }
  backend_.FailRetriesWith(absl::ResourceExhaustedError("the queue is full"));
  v1::RetryQuarantinedRequest request;
  request.set_all(true);
  v1::RetryQuarantinedResponse response;
  ASSERT_TRUE(Retry(request, &response).ok());
  EXPECT_THAT(response.retried(), IsEmpty());
  EXPECT_THAT(response.left(), ElementsAre(1, 2, 3));
  EXPECT_EQ(response.left_reason(), "the queue is full");
}

TEST_F(AdminServiceTest, ARetryNamesSomeOrAll) {
  v1::RetryQuarantinedRequest request;
  v1::RetryQuarantinedResponse response;
  EXPECT_EQ(Retry(request, &response).error_code(),
            StatusCode::INVALID_ARGUMENT);
  request.set_all(true);
  request.add_sequences(1);
  EXPECT_EQ(Retry(request, &response).error_code(),
            StatusCode::INVALID_ARGUMENT);
  request.set_all(false);
  for (int i = 0; i < AdminService::kRetriesMax; ++i) request.add_sequences(1);
  EXPECT_EQ(Retry(request, &response).error_code(),
            StatusCode::INVALID_ARGUMENT);
}

// --- Export ---

// --- Discarding ---

v1::DiscardQuarantinedRequest DiscardRequest(std::int64_t sequence) {
  v1::DiscardQuarantinedRequest request;
  request.set_sequence(sequence);
  request.set_reason("a test");
  request.set_by("Ada");
  return request;
}

TEST_F(AdminServiceTest, DiscardsInThePoolThatHasTheSubmission) {
  backend_.AddQuarantined("clinical", InQuarantine(1));
  backend_.AddQuarantined("imports", InQuarantine(2));
  EXPECT_TRUE(Discard(DiscardRequest(2)).ok());
  EXPECT_EQ(Discard(DiscardRequest(2)).error_code(), StatusCode::NOT_FOUND);
  v1::DiscardQuarantinedRequest elsewhere = DiscardRequest(1);
  elsewhere.set_pool("imports");
  EXPECT_EQ(Discard(elsewhere).error_code(), StatusCode::NOT_FOUND);

  grpc::ClientContext context;
  v1::ListDiscardedRequest request;
  request.set_pool("imports");
  v1::ListDiscardedResponse listed;
  ASSERT_TRUE(stub_->ListDiscarded(&context, request, &listed).ok());
  ASSERT_EQ(listed.records_size(), 1);
  EXPECT_EQ(listed.records(0).entry().sequence(), 2);
  EXPECT_EQ(listed.records(0).entry().pool(), "imports");
  EXPECT_EQ(listed.records(0).reason(), "a test");
  EXPECT_EQ(listed.records(0).by(), "Ada");
}

TEST_F(AdminServiceTest, ADiscardNeedsAReasonAndAName) {
  backend_.AddQuarantined("clinical", InQuarantine(1));
  std::vector<v1::DiscardQuarantinedRequest> requests(5, DiscardRequest(1));
  requests[0].set_sequence(0);
  requests[1].clear_reason();
  requests[2].set_reason(std::string(AdminService::kReasonBytesMax + 1, 'x'));
  requests[3].clear_by();
  requests[4].set_by(std::string(AdminService::kNameBytesMax + 1, 'x'));
  for (const auto& request : requests) {
    EXPECT_EQ(Discard(request).error_code(), StatusCode::INVALID_ARGUMENT);
  }
  EXPECT_TRUE(Discard(DiscardRequest(1)).ok());
}

TEST_F(AdminServiceTest, RecordsOfSeveralPoolsAreListedOneByOne) {
  grpc::ClientContext context;
  v1::ListDiscardedResponse listed;
  const grpc::Status status = stub_->ListDiscarded(&context, {}, &listed);
  EXPECT_EQ(status.error_code(), StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(status.error_message(), "set pool to one of: clinical, imports");
}

TEST_F(AdminServiceTest, ExportsTellWhatIsQuarantinedAndDiscarded) {
  StoreRange(1, 1);
  backend_.SetLastSequence(4);
  for (const std::int64_t n : {2, 3, 4}) {
    backend_.AddQuarantined("clinical", InQuarantine(n));
  }
  store().AddGap({.sequence = 2, .conflict = true});
  EXPECT_TRUE(Discard(DiscardRequest(3)).ok());
  EXPECT_EQ(Export().text,
            "1 [2-2 QUARANTINED] [3-3 DISCARDED] [4-4 QUARANTINED]");
}

TEST_F(AdminServiceTest, ExportsSubmissionsAndGaps) {
  for (const std::int64_t n : {1, 2, 5, 9}) store().Add(StoredSubmission(n));
  store().AddGap({.sequence = 3, .conflict = false, .first_sequence = 2});
  store().AddGap({.sequence = 4, .conflict = true});
  backend_.AddQuarantined("clinical", InQuarantine(6));
  backend_.SetPending({8, 11});
  backend_.SetLastSequence(12);
  const Exported exported = Export();
  ASSERT_TRUE(exported.status.ok()) << exported.status.error_message();
  EXPECT_EQ(exported.text,
            "1 2 [3-3 DUPLICATE of 2] [4-4 CONFLICT] 5 [6-6 QUARANTINED] "
            "[7-7 UNACCOUNTED] [8-8 QUEUED] 9 [10-10 UNACCOUNTED] "
            "[11-11 QUEUED] [12-12 UNACCOUNTED]");
  EXPECT_EQ(exported.progress.back().last_sequence(), 12);
}

TEST_F(AdminServiceTest, ASubmissionComesWithAllThatAReceiverNeeds) {
  Submission submission = StoredSubmission(1);
  submission.kind = SubmissionKind::kAppEvent;
  submission.site_id = "SITE";
  submission.content = std::string("\x00\xff", 2);
  submission.content_sha256.fill(0xab);
  submission.sent_at = absl::FromUnixMicros(1'600'000'000'000'001);
  store().Add(submission);
  backend_.SetLastSequence(1);
  const Exported exported = Export();
  ASSERT_EQ(exported.submissions.size(), 1U);
  const v1::ExportedSubmission& got = exported.submissions[0];
  EXPECT_EQ(got.sequence(), 1);
  EXPECT_EQ(got.kind(), v1::APP_EVENT);
  EXPECT_EQ(got.study_id(), "S");
  EXPECT_EQ(got.submission_id(), "id-1");
  EXPECT_EQ(got.site_id(), "SITE");
  EXPECT_EQ(got.received_at().seconds(), 1'700'000'001);
  EXPECT_EQ(got.sent_at().seconds(), 1'600'000'000);
  EXPECT_EQ(got.sent_at().nanos(), 1'000);
  EXPECT_EQ(got.content(), std::string("\x00\xff", 2));
  EXPECT_EQ(got.content_sha256(), std::string(32, '\xab'));
}

TEST_F(AdminServiceTest, ExportsByPages) {
  const auto count = static_cast<std::int64_t>(2 * kExportPageMax + 10);
  StoreRange(1, count);
  const Exported exported = Export();
  ASSERT_TRUE(exported.status.ok());
  ASSERT_EQ(exported.submissions.size(), static_cast<std::size_t>(count));
  for (std::int64_t n = 1; n <= count; ++n) {
    ASSERT_EQ(exported.submissions[static_cast<std::size_t>(n - 1)].sequence(),
              n);
  }
  EXPECT_THAT(exported.gaps, IsEmpty());
  EXPECT_EQ(store().reads(), 3);
  EXPECT_EQ(exported.progress.size(), 3U);
  EXPECT_EQ(exported.progress[0].sequence(), 1000);
}

TEST_F(AdminServiceTest, ExportsWhatComesAfterANumber) {
  StoreRange(1, 5);
  v1::ExportRequest request;
  request.set_after_sequence(3);
  EXPECT_EQ(Export(request).text, "4 5");
  request.set_after_sequence(5);
  EXPECT_EQ(Export(request).text, "");
  request.set_after_sequence(-1);
  EXPECT_EQ(Export(request).status.error_code(), StatusCode::INVALID_ARGUMENT);
}

TEST_F(AdminServiceTest, ExportsOneStudy) {
  StoreRange(1, 4);
  Submission other = StoredSubmission(2);
  other.study_id = "T";
  store().Add(other);
  backend_.SetLastSequence(5);
  v1::ExportRequest request;
  request.set_study_id("T");
  EXPECT_EQ(Export(request).text, "2 [5-5 UNACCOUNTED]");
}

TEST_F(AdminServiceTest, ExportsWhatCameSinceATime) {
  for (const std::int64_t n : {2, 4, 6, 8}) store().Add(StoredSubmission(n));
  backend_.SetLastSequence(9);
  v1::ExportRequest request;
  request.mutable_received_since()->set_seconds(1'700'000'006);
  EXPECT_EQ(Export(request).text,
            "[5-5 UNACCOUNTED] 6 [7-7 UNACCOUNTED] 8 [9-9 UNACCOUNTED]");
  // No submission was received since this time. But the submission with the
  // last number may have been.
  request.mutable_received_since()->set_seconds(1'700'000'009);
  EXPECT_EQ(Export(request).text, "[9-9 UNACCOUNTED]");
}

TEST_F(AdminServiceTest, ExportsNothingThatIsStoredAfterItsStart) {
  StoreRange(1, 3);
  backend_.SetLastSequence(2);  // 3 was assigned after the export began
  store().AddGap({4, false});
  EXPECT_EQ(Export().text, "1 2");
}

TEST_F(AdminServiceTest, ExportsTheNumbersOfEveryServer) {
  const std::int64_t own = BeginOfSeries(1);
  const std::int64_t other = BeginOfSeries(2);
  for (const std::int64_t n :
       {std::int64_t{2}, own + 1, own + 2, own + 3, other + 1}) {
    store().Add(StoredSubmission(n));
  }
  backend_.SetLastSequence(own + 2);
  const Exported exported = Export();
  EXPECT_EQ(exported.text, absl::StrCat("[1-1 OTHER_SERVER] 2 ", own + 1, " ",
                                        own + 2, " ", other + 1));
}

TEST_F(AdminServiceTest, ASubmissionRetriedDuringACensusIsQueued) {
  backend_.AddQuarantined("clinical", InQuarantine(1));
  backend_.SetLastSequence(1);
  // While TakeCensus reads the quarantine, submission 1 moves from there into a
  // queue.
  backend_.OnList([this] {
    backend_.OnList(nullptr);
    v1::RetryQuarantinedRequest unused;
    EXPECT_TRUE(backend_.RetryQuarantined("clinical", 1).ok());
    backend_.SetPending({1});
  });
  const auto census = TakeCensus(backend_);
  ASSERT_TRUE(census.ok());
  EXPECT_FALSE(census->queued.empty());
}

TEST_F(AdminServiceTest, ErrorsOfTheStoreAreReported) {
  store().FailWith(absl::UnimplementedError("this store cannot be read"));
  EXPECT_EQ(Export().status.error_code(), StatusCode::UNIMPLEMENTED);
  StoreRange(1, 3);
  store().FailWith(absl::UnavailableError("unavailable"));
  const Exported exported = Export();
  EXPECT_EQ(exported.status.error_code(), StatusCode::UNAVAILABLE);
  EXPECT_EQ(exported.status.error_message(), "unavailable");
}

TEST_F(AdminServiceTest, ExportsAreLimitedAndOthersGoOn) {
  StoreRange(1, 1);
  store().Hold();
  std::vector<std::unique_ptr<grpc::ClientContext>> contexts;
  std::vector<std::unique_ptr<grpc::ClientReader<v1::ExportResponse>>> readers;
  for (int i = 0; i < AdminService::kExportsMax; ++i) {
    contexts.push_back(std::make_unique<grpc::ClientContext>());
    readers.push_back(stub_->Export(contexts.back().get(), {}));
    store().AwaitHeld(i + 1);
  }
  const grpc::Status status = Export().status;
  EXPECT_EQ(status.error_code(), StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_THAT(status.error_message(), HasSubstr("exports"));
  v1::ListQuarantineResponse list;
  EXPECT_TRUE(List({}, &list).ok());

  store().Release();
  for (const auto& reader : readers) {
    v1::ExportResponse response;
    while (reader->Read(&response)) {
    }
    EXPECT_TRUE(reader->Finish().ok());
  }
  EXPECT_EQ(Export().text, "1");
}

}  // namespace
}  // namespace sluice
