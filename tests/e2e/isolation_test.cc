// Tests that a submission whose processing throws an exception harms no other
// submission, and that patient data never appears in logs, metrics or errors.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"
#include "tests/fakes/async_caller.h"
#include "tests/fakes/full_server.h"
#include "tests/fakes/gated_store.h"
#include "tests/fakes/log_capture.h"
#include "tests/fakes/test_server.h"

namespace sluice {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using v1::Receipt;

// Throws an exception for some ids, of a different type for each.
void ThrowForSome(const Submission& submission) {
  const std::string& id = submission.submission_id;
  if (id == "throws exception") throw std::runtime_error(submission.content);
  if (id == "throws int") throw 42;
  if (id == "throws bad_alloc") throw std::bad_alloc();
}

// Returns a configuration in which all submissions that arrive while the first
// is in work form one batch.
Config OneBatch() {
  Config config = SmallConfig("fail_fast", 64);
  config.pools["clinical"].batch_max = 64;
  return config;
}

// Returns the last word of a message such as "internal error 0123456789abcdef".
std::string ErrorIdOf(const std::string& message) {
  const std::vector<std::string> words = absl::StrSplit(message, ' ');
  return words.back();
}

TEST(AThrowingTask, EndsWithInternalForItsOwnCallerAlone) {
  LogCapture log;
  {
    TestServer server(OneBatch(), ThrowForSome);
    AsyncCaller caller(server.NewChannel());
    server.store().Hold();
    caller.Submit(MakeSubmit("first"));
    server.store().AwaitInFlight(1);

    std::vector<const AsyncSubmit*> throwing;
    std::vector<const AsyncSubmit*> sound;
    std::size_t queued = 0;
    for (const char* id :
         {"throws exception", "throws int", "throws bad_alloc"}) {
      sound.push_back(&caller.Submit(MakeSubmit(absl::StrCat("before ", id))));
      server.AwaitQueued(++queued);
      throwing.push_back(&caller.Submit(MakeSubmit(id)));
      server.AwaitQueued(++queued);
    }
    sound.push_back(&caller.Submit(MakeSubmit("last")));
    server.AwaitQueued(++queued);
    server.store().Release();

    for (const AsyncSubmit* call : sound) {
      EXPECT_EQ(caller.Await(*call).receipt.disposition(), Receipt::STORED);
    }
    std::vector<std::string> error_ids;
    for (const AsyncSubmit* call : throwing) {
      const grpc::Status& status = caller.Await(*call).status;
      EXPECT_EQ(status.error_code(), grpc::StatusCode::INTERNAL);
      error_ids.push_back(ErrorIdOf(status.error_message()));
      EXPECT_EQ(error_ids.back().size(), 16u) << status.error_message();
    }
    // The worker took the seven queued submissions as one batch. The four whose
    // processing did not throw reached the store as one batch.
    EXPECT_THAT(server.store().batches(), ElementsAre(1u, 4u));
    EXPECT_THAT(
        StoredIds(server.store()),
        ElementsAre("first", "before throws exception", "before throws int",
                    "before throws bad_alloc", "last"));
    const MethodCounters counters = server.counters(Method::kSubmit);
    EXPECT_EQ(counters.completed[TaskResult::kFailed], 3u);
    EXPECT_THAT(server.Get("/metrics"),
                HasSubstr("sluice_completed_total{method=\"Submit\","
                          "outcome=\"failed\"} 3\n"));
    // The worker still works.
    EXPECT_TRUE(caller.SubmitAndWait(MakeSubmit("after")).status.ok());
    server.Drain();
    for (const std::string& error_id : error_ids) {
      EXPECT_THAT(log.text(), HasSubstr("error_id=" + error_id));
    }
  }
  EXPECT_THAT(log.text(), HasSubstr("runtime_error"));
  EXPECT_THAT(log.text(), HasSubstr("bad_alloc"));
}

TEST(AThrowingTask, IsAReceiptOfItsOwnInAnImport) {
  TestServer server(SmallConfig("block", 4), ThrowForSome);
  v1::ImportPatientsRequest request;
  request.set_study_id("study");
  for (const char* id : {"1", "throws int", "2"}) {
    request.add_records()->set_record_id(id);
  }
  grpc::ClientContext context;
  v1::ImportPatientsResponse response;
  ASSERT_TRUE(server.stub().ImportPatients(&context, request, &response).ok());
  ASSERT_EQ(response.receipts_size(), 3);
  EXPECT_EQ(response.receipts(0).disposition(), Receipt::STORED);
  EXPECT_EQ(response.receipts(1).disposition(), Receipt::REFUSED);
  EXPECT_THAT(response.receipts(1).issue(0).description(),
              HasSubstr("internal error"));
  EXPECT_EQ(response.receipts(2).disposition(), Receipt::STORED);
}

// A faulty store that throws exceptions.
class ThrowingStore final : public Store {
 public:
  absl::Status SaveBatch(absl::Span<const Submission> batch,
                         absl::Span<Saved> saved) override {
    if (batch[0].submission_id == "throws") {
      throw std::runtime_error(batch[0].content);
    }
    return kept_.SaveBatch(batch, saved);
  }
  absl::StatusOr<std::vector<std::optional<StoredReceipt>>> FindReceipts(
      std::string_view study_id,
      absl::Span<const std::string> submission_ids) override {
    if (study_id == "throws") throw 42;
    return kept_.FindReceipts(study_id, submission_ids);
  }
  absl::StatusOr<std::int64_t> LastSequence() override { return 0; }
  absl::Status Check() override { return absl::OkStatus(); }

 private:
  GatedStore kept_;
};

TEST(AThrowingStore, FailsItsBatchAndNothingElse) {
  TestServer server(SmallConfig("block", 4), std::make_unique<ThrowingStore>());
  AsyncCaller caller(server.NewChannel());
  const AsyncSubmit& failed = caller.SubmitAndWait(MakeSubmit("throws"));
  EXPECT_EQ(failed.status.error_code(), grpc::StatusCode::INTERNAL);
  EXPECT_TRUE(caller.SubmitAndWait(MakeSubmit("1")).status.ok());
}

TEST(AThrowingStore, FailsALookupAndNothingElse) {
  TestServer server(SmallConfig("block", 4), std::make_unique<ThrowingStore>());
  v1::GetReceiptsRequest request;
  v1::GetReceiptsResponse response;
  request.set_study_id("throws");
  grpc::ClientContext throwing;
  EXPECT_EQ(
      server.stub().GetReceipts(&throwing, request, &response).error_code(),
      grpc::StatusCode::INTERNAL);
  request.set_study_id("study");
  grpc::ClientContext sound;
  EXPECT_TRUE(server.stub().GetReceipts(&sound, request, &response).ok());
}

// Words that no log line, metric or error text may contain.
constexpr char kSubject[] = "Patient/canary-subject";
constexpr char kAnswer[] = "canary-answer";
constexpr char kData[] = "canary-data";

v1::SubmitRequest MakeCanary(std::string_view submission_id) {
  v1::SubmitRequest request = MakeSubmit(submission_id);
  request.set_reason_for_change(kAnswer);
  v1::QuestionnaireResponse& response = *request.mutable_response();
  response.mutable_subject()->set_reference(kSubject);
  response.mutable_subject()->set_display(kSubject);
  auto* item = response.add_item();
  item->set_link_id("canary-link");
  item->set_text(kAnswer);
  item->add_answer()->set_string(kAnswer);
  return request;
}

// Returns all text of an error that a caller receives.
std::string TextOf(const AsyncSubmit& call) {
  std::string text = call.status.error_message() + call.status.error_details();
  for (const auto& [name, value] : call.context.GetServerTrailingMetadata()) {
    absl::StrAppend(&text, std::string(name.data(), name.size()), "=",
                    std::string(value.data(), value.size()));
  }
  return text + call.receipt.DebugString();
}

TEST(PatientData, IsInNoLogMetricOrErrorText) {
  LogCapture log;
  std::string told;
  {
    FullServer full(SmallConfig("fail_fast", 1));
    told += TextOf(full.caller().SubmitAndWait(MakeCanary("refused")));
    full.store().Release();
    full.caller().AwaitEnded(3);
    full.store().FailWith(absl::UnavailableError("full"));
    told += TextOf(full.caller().SubmitAndWait(MakeCanary("unavailable")));
    told += full.server().Get("/metrics");
    for (const std::string& line : full.server().Drain().ToLines()) {
      told += line;
    }
  }
  {
    TestServer server(SmallConfig("block", 4), ThrowForSome);
    AsyncCaller caller(server.NewChannel());
    told += TextOf(caller.SubmitAndWait(MakeCanary("1")));
    v1::SubmitRequest other = MakeCanary("1");
    other.set_site_id("another");
    told += TextOf(caller.SubmitAndWait(other));
    told += TextOf(caller.SubmitAndWait(MakeCanary("throws exception")));
    v1::SubmitRequest bad_text = MakeCanary("2");
    bad_text.mutable_response()->mutable_item(1)->set_text(
        absl::StrCat(kAnswer, "\xff"));
    const AsyncSubmit& invalid = caller.SubmitAndWait(bad_text);
    EXPECT_EQ(invalid.status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
    told += TextOf(invalid);
    told += TextOf(caller.SubmitAndWait(
        MakeCanary(std::string(kSubject) + std::string(129, 'x'))));

    v1::ImportPatientsRequest import;
    import.set_study_id("study");
    for (const char* id : {"3", "throws exception", "3"}) {
      v1::PatientRecord* record = import.add_records();
      record->set_record_id(id);
      record->set_patient_id(kSubject);
      record->set_data(absl::StrCat(kData, import.records_size()));
    }
    grpc::ClientContext context;
    v1::ImportPatientsResponse response;
    const grpc::Status status =
        server.stub().ImportPatients(&context, import, &response);
    told += status.error_message() + response.DebugString();
    told += server.Get("/metrics");
    for (const std::string& line : server.Drain().ToLines()) told += line;
  }
  told += log.text();
  EXPECT_THAT(told, HasSubstr("task failed"));
  for (const char* word : {"canary-subject", kAnswer, kData, "canary-link"}) {
    EXPECT_THAT(told, Not(HasSubstr(word)));
  }
}

}  // namespace
}  // namespace sluice
