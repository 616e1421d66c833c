// Tests GetReceipts, by which clients ask for the state of their submissions.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/log_pace.h"
#include "gmock/gmock.h"
#include "google/protobuf/util/message_differencer.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"
#include "tests/fakes/async_caller.h"
#include "tests/fakes/fake_clock.h"
#include "tests/fakes/full_server.h"
#include "tests/fakes/log_capture.h"
#include "tests/fakes/sqlite_server.h"
#include "tests/fakes/test_server.h"

namespace sluice {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using v1::Receipt;

v1::GetReceiptsResponse GetReceipts(v1::Ingestion::Stub& stub,
                                    const std::vector<std::string>& ids,
                                    const std::string& study_id = "study") {
  grpc::ClientContext context;
  v1::GetReceiptsRequest request;
  request.set_study_id(study_id);
  for (const std::string& id : ids) request.add_submission_ids(id);
  v1::GetReceiptsResponse response;
  const grpc::Status status = stub.GetReceipts(&context, request, &response);
  EXPECT_TRUE(status.ok()) << status.error_message();
  return response;
}

std::vector<Receipt::Disposition> Dispositions(
    const v1::GetReceiptsResponse& response) {
  std::vector<Receipt::Disposition> dispositions;
  for (const Receipt& receipt : response.receipts()) {
    dispositions.push_back(receipt.disposition());
  }
  return dispositions;
}

TEST(GetReceipts, AFloodOfFailuresHasALineASecond) {
  const LogCapture log;
  FakeClock clock;
  TestServer server(SmallConfig("block", 4), {}, &clock);
  server.store().FailLookups(absl::UnavailableError("down"));
  const auto look_up = [&] {
    grpc::ClientContext context;
    v1::GetReceiptsRequest request;
    request.set_study_id("study");
    request.add_submission_ids("canary");
    v1::GetReceiptsResponse response;
    EXPECT_EQ(
        server.stub().GetReceipts(&context, request, &response).error_code(),
        grpc::StatusCode::UNAVAILABLE);
  };
  for (int i = 0; i < 10; ++i) look_up();
  clock.Advance(LogPace::kInterval);
  look_up();
  server.Drain();
  std::vector<std::string> lines;
  for (const absl::string_view line : absl::StrSplit(log.text(), '\n')) {
    if (absl::StrContains(line, "lookup")) lines.emplace_back(line);
  }
  EXPECT_THAT(lines,
              ElementsAre(HasSubstr("times=1 "), HasSubstr("times=10 ")));
  EXPECT_THAT(log.text(), testing::Not(HasSubstr("canary")));
}

TEST(GetReceipts, AnswersInTheOrderOfTheIdsWithTheFirstReceipts) {
  SqliteServer sqlite(SmallConfig("block", 4));
  AsyncCaller caller(sqlite.server().NewChannel());
  const AsyncSubmit& a = caller.SubmitAndWait(MakeSubmit("a"));
  const AsyncSubmit& b = caller.SubmitAndWait(MakeSubmit("b"));
  caller.SubmitAndWait(MakeSubmit("a"));

  const auto response =
      GetReceipts(sqlite.stub(), {"b", "never sent", "a", "b"});
  ASSERT_EQ(response.receipts_size(), 4);
  const auto equal = [](const Receipt& one, const Receipt& other) {
    return google::protobuf::util::MessageDifferencer::Equals(one, other);
  };
  EXPECT_TRUE(equal(response.receipts(0), b.receipt));
  EXPECT_TRUE(equal(response.receipts(2), a.receipt));
  EXPECT_TRUE(equal(response.receipts(3), b.receipt));
  const Receipt& unknown = response.receipts(1);
  EXPECT_EQ(unknown.submission_id(), "never sent");
  EXPECT_EQ(unknown.disposition(), Receipt::UNKNOWN);
  EXPECT_EQ(unknown.sequence(), 0);
  EXPECT_FALSE(unknown.has_received_at());
}

TEST(GetReceipts, ReportsTheNumbersOfDuplicatesThatWereAcknowledged) {
  Config config = SmallConfig("block", 4);
  config.limits.recent_ids = 1;
  config.methods[Index(Method::kSubmit)].ack = Ack::kQueued;
  TestServer server(config);
  AsyncCaller caller(server.NewChannel());
  const std::int64_t first =
      caller.SubmitAndWait(MakeSubmit("a")).receipt.sequence();
  caller.SubmitAndWait(MakeSubmit("b"));
  AwaitThat("both are stored",
            [&] { return server.store().stored().size() == 2; });
  const AsyncSubmit& again = caller.SubmitAndWait(MakeSubmit("a"));
  EXPECT_EQ(again.receipt.disposition(), Receipt::QUEUED);
  ASSERT_NE(again.receipt.sequence(), first);
  AwaitThat("the duplicate is recognised", [&] {
    return server.store().batches().size() == 3 && server.view().depth == 0 &&
           server.counters(Method::kSubmit).in_work == 0;
  });

  EXPECT_EQ(GetReceipts(server.stub(), {"unknown"}).receipts_size(), 1);
  EXPECT_EQ(server.store().other_lookups(), 0u) << "nothing is stored";
  const auto response = GetReceipts(server.stub(), {"b", "unknown", "a"});
  EXPECT_EQ(server.store().other_lookups(), 1u);
  ASSERT_EQ(response.receipts_size(), 3);
  EXPECT_THAT(response.receipts(0).other_sequences(), IsEmpty());
  EXPECT_THAT(response.receipts(1).other_sequences(), IsEmpty());
  EXPECT_EQ(response.receipts(2).sequence(), first);
  EXPECT_THAT(response.receipts(2).other_sequences(),
              ElementsAre(again.receipt.sequence()));
}

TEST(GetReceipts, KnowsASubmissionOfItsOwnStudyAlone) {
  SqliteServer sqlite(SmallConfig("block", 4));
  AsyncCaller(sqlite.server().NewChannel()).SubmitAndWait(MakeSubmit("a"));
  EXPECT_THAT(Dispositions(GetReceipts(sqlite.stub(), {"a"}, "another")),
              ElementsAre(Receipt::UNKNOWN));
}

TEST(GetReceipts, OfNoIdsIsEmpty) {
  TestServer server(SmallConfig("block", 4));
  EXPECT_THAT(GetReceipts(server.stub(), {}).receipts(), IsEmpty());
}

TEST(GetReceipts, KnowsRecordsAndEventsToo) {
  SqliteServer sqlite(SmallConfig("block", 4));
  v1::ImportPatientsRequest import;
  import.set_study_id("study");
  import.add_records()->set_patient_id("patient");
  grpc::ClientContext import_context;
  v1::ImportPatientsResponse import_response;
  ASSERT_TRUE(sqlite.stub()
                  .ImportPatients(&import_context, import, &import_response)
                  .ok());
  v1::RecordEventsRequest events;
  events.set_study_id("study");
  events.add_events()->set_event_id("event");
  grpc::ClientContext events_context;
  v1::RecordEventsResponse events_response;
  ASSERT_TRUE(sqlite.stub()
                  .RecordEvents(&events_context, events, &events_response)
                  .ok());
  EXPECT_THAT(Dispositions(GetReceipts(sqlite.stub(), {"patient", "event"})),
              ElementsAre(Receipt::STORED, Receipt::STORED));
}

TEST(GetReceipts, AnswersWhileSubmitIsSaturatedAndTheStoreHangs) {
  Config config = SmallConfig("block", 2);
  config.pools["clinical"].waiting_max = 2;
  FullServer full(config);
  full.Park(MakeSubmit("parked 1"));
  full.Park(MakeSubmit("parked 2"));
  EXPECT_FALSE(full.caller().SubmitAndWait(MakeSubmit("refused")).status.ok());
  for (int i = 0; i < 20; ++i) {
    EXPECT_THAT(
        Dispositions(GetReceipts(full.server().stub(),
                                 {"in work", "queued 1", "parked 1"})),
        ElementsAre(Receipt::UNKNOWN, Receipt::UNKNOWN, Receipt::UNKNOWN));
  }
  full.store().Release();
  full.caller().AwaitEnded(6);
  EXPECT_THAT(Dispositions(GetReceipts(full.server().stub(),
                                       {"in work", "queued 1", "parked 1"})),
              ElementsAre(Receipt::STORED, Receipt::STORED, Receipt::STORED));
}

TEST(GetReceipts, AnswersForAllThatOneRequestMayAsk) {
  SqliteServer sqlite(SmallConfig("block", 4));
  AsyncCaller(sqlite.server().NewChannel()).SubmitAndWait(MakeSubmit("9999"));
  std::vector<std::string> ids;
  for (int i = 0; i < 10000; ++i) ids.push_back(absl::StrCat(i));
  const auto response = GetReceipts(sqlite.stub(), ids);
  ASSERT_EQ(response.receipts_size(), 10000);
  EXPECT_EQ(response.receipts(0).disposition(), Receipt::UNKNOWN);
  EXPECT_EQ(response.receipts(9999).disposition(), Receipt::STORED);
}

TEST(Answers, AreReadFromTheDatabaseOnePerRow) {
  SqliteServer sqlite(SmallConfig("block", 4));
  v1::SubmitRequest request = MakeSubmit("1");
  v1::QuestionnaireResponse& response = *request.mutable_response();
  response.clear_item();
  auto* pain = response.add_item();
  pain->set_link_id("pain");
  pain->add_answer()->set_integer(7);
  auto* group = response.add_item();
  group->set_link_id("sleep");
  auto* hours = group->add_item();
  hours->set_link_id("hours");
  hours->add_answer()->set_decimal("6.50");
  AsyncCaller caller(sqlite.server().NewChannel());
  ASSERT_TRUE(caller.SubmitAndWait(request).status.ok());
  EXPECT_THAT(
      sqlite.Query("SELECT study_id, subject, questionnaire, link_id, value, "
                   "authored FROM answers ORDER BY sequence, position"),
      ElementsAre(
          ElementsAre("study", "Patient/1", "http://example.org/phq-9|1.0",
                      "pain", "7", "2026-03-01T20:15:00+01:00"),
          ElementsAre("study", "Patient/1", "http://example.org/phq-9|1.0",
                      "hours", "6.50", "2026-03-01T20:15:00+01:00")));
}

}  // namespace
}  // namespace sluice
