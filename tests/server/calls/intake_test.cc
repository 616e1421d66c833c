#include "server/calls/intake.h"

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "grpcpp/support/slice.h"
#include "grpcpp/test/server_context_test_spouse.h"
#include "gtest/gtest.h"
#include "sluice/v1/ingestion.pb.h"

namespace sluice {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

const std::string kLongestId(kMaxIdBytes, 'x');
const std::string kTooLongId(kMaxIdBytes + 1, 'x');

const Sending kSending = {
    .received_at = absl::FromUnixSeconds(1'772'395'200),
    .sent_at = absl::FromUnixSeconds(1'772'395'100),
    .sender = {},
};

// Returns the field of the violation; "" if there is none.
std::string FieldOf(const std::optional<Violation>& violation) {
  if (!violation.has_value()) return "";
  EXPECT_NE(violation->description, "");
  return violation->field.empty() ? "(the message)" : violation->field;
}

// --- Submit ---

v1::SubmitRequest MakeSubmit() {
  v1::SubmitRequest request;
  request.set_submission_id("id");
  request.set_study_id("study");
  request.set_site_id("site");
  request.mutable_response()->set_questionnaire("q|1");
  return request;
}

std::string ReadSubmit(const SubmitIntake& intake, std::string content,
                       ReceivedSubmission* submission) {
  submission->content = std::move(content);
  return FieldOf(intake.Read(kSending, submission));
}

std::string InvalidField(const v1::SubmitRequest& request) {
  Submission submission;
  return ReadSubmit(SubmitIntake(LimitsConfig()), request.SerializeAsString(),
                    &submission);
}

TEST(SubmitIntake, TakesTheContentAsItIsAndWhatIdentifiesIt) {
  const std::string content = MakeSubmit().SerializeAsString();
  Submission submission;
  EXPECT_EQ(ReadSubmit(SubmitIntake(LimitsConfig()), content, &submission), "");
  EXPECT_EQ(submission.kind, SubmissionKind::kQuestionnaireResponse);
  EXPECT_EQ(submission.submission_id, "id");
  EXPECT_EQ(submission.study_id, "study");
  EXPECT_EQ(submission.site_id, "site");
  EXPECT_EQ(submission.content, content);
  EXPECT_EQ(submission.received_at, kSending.received_at);
  EXPECT_EQ(submission.sent_at, kSending.sent_at);
}

TEST(SubmitIntake, RequiresIdStudyAndResponse) {
  v1::SubmitRequest request;
  EXPECT_EQ(InvalidField(request), "submission_id");
  request.set_submission_id("id");
  EXPECT_EQ(InvalidField(request), "study_id");
  request.set_study_id("study");
  EXPECT_EQ(InvalidField(request), "response");
  request.mutable_response();
  EXPECT_EQ(InvalidField(request), "");
}

TEST(SubmitIntake, LimitsTheLengthOfEachIdAndRefusesNul) {
  using Set = void (*)(v1::SubmitRequest*, const std::string&);
  const std::vector<std::pair<std::string, Set>> ids = {
      {"submission_id", [](auto* r, auto& id) { r->set_submission_id(id); }},
      {"study_id", [](auto* r, auto& id) { r->set_study_id(id); }},
      {"site_id", [](auto* r, auto& id) { r->set_site_id(id); }},
      {"supersedes_submission_id",
       [](auto* r, auto& id) { r->set_supersedes_submission_id(id); }},
  };
  for (const auto& [field, set] : ids) {
    v1::SubmitRequest request = MakeSubmit();
    set(&request, kLongestId);
    EXPECT_EQ(InvalidField(request), "") << field;
    set(&request, kTooLongId);
    EXPECT_EQ(InvalidField(request), field);
    set(&request, std::string("a\0b", 3));
    EXPECT_EQ(InvalidField(request), field);
  }
}

TEST(SubmitIntake, NamesWhereTheStructureBreaks) {
  const SubmitIntake intake{LimitsConfig()};
  Submission submission;
  const std::string content = MakeSubmit().SerializeAsString();
  EXPECT_EQ(
      ReadSubmit(intake, content.substr(0, content.size() - 1), &submission),
      "response");
  EXPECT_EQ(ReadSubmit(intake, "\xFF", &submission), "(the message)");
  EXPECT_EQ(ReadSubmit(intake, "\x0A\x02\xC3\x28", &submission),
            "submission_id");
}

TEST(SubmitIntake, OfAMalformedSubmissionTellsTheIdIfItCan) {
  const SubmitIntake intake{LimitsConfig()};
  const std::string cut_off = "\x22\x05x";
  for (const auto& [id_field, id] :
       std::vector<std::pair<std::string, std::string>>{
           {"\x0A\x02id", "id"},
           {"", ""},
           {"\x0A\x02\xC3\x28", ""},
           {"\x0A\x81\x01" + kTooLongId, ""}}) {
    Submission submission;
    EXPECT_NE(ReadSubmit(intake, id_field + cut_off, &submission), "");
    EXPECT_EQ(submission.submission_id, id);
  }
}

TEST(SubmitIntake, LimitsTheNesting) {
  LimitsConfig limits;
  limits.nesting = 8;
  // The nested messages are the request, the response, and six items.
  v1::SubmitRequest request = MakeSubmit();
  auto* item = request.mutable_response()->add_item();
  for (int i = 0; i < 5; ++i) item = item->add_item();
  Submission submission;
  const SubmitIntake intake(limits);
  EXPECT_EQ(ReadSubmit(intake, request.SerializeAsString(), &submission), "");
  item->add_item();
  EXPECT_EQ(ReadSubmit(intake, request.SerializeAsString(), &submission),
            "response.item[0].item[0].item[0].item[0].item[0].item[0].item[0]");
}

// Answers and items are counted separately, each over all levels.
TEST(SubmitIntake, LimitsTheAnswersAndNamesTheLimit) {
  LimitsConfig limits;
  limits.answers = 3;
  const SubmitIntake intake(limits);
  const auto read = [&](const v1::SubmitRequest& request) {
    Submission submission;
    submission.content = request.SerializeAsString();
    const auto violation = intake.Read(kSending, &submission);
    EXPECT_EQ(submission.submission_id, request.submission_id());
    return violation.has_value()
               ? violation->field + ": " + violation->description
               : "";
  };
  v1::SubmitRequest request = MakeSubmit();
  request.mutable_response()->clear_item();
  auto* item = request.mutable_response()->add_item();
  auto* inner = item->add_answer()->add_item();
  inner->add_answer();
  EXPECT_EQ(read(request), "");
  inner->add_answer();
  request.mutable_response()->add_item();
  EXPECT_EQ(read(request), "") << "three items and three answers";
  item->add_answer();
  EXPECT_EQ(read(request),
            "response.item[0].answer[1]: more than limits.answers allows (3)");
  item->mutable_answer()->RemoveLast();
  request.mutable_response()->add_item();
  EXPECT_EQ(read(request),
            "response.item[2]: more than limits.answers allows (3)");
}

// The row of each answer repeats the link id of its item.
TEST(SubmitIntake, LimitsLinkIds) {
  v1::SubmitRequest request = MakeSubmit();
  auto* item = request.mutable_response()->add_item()->add_item();
  item->set_link_id(std::string(kMaxLinkIdBytes, 'x'));
  Submission submission;
  const SubmitIntake intake((LimitsConfig()));
  EXPECT_EQ(ReadSubmit(intake, request.SerializeAsString(), &submission), "");
  *item->mutable_link_id() += 'x';
  EXPECT_EQ(ReadSubmit(intake, request.SerializeAsString(), &submission),
            "response.item[0].item[0].link_id");
  item->set_link_id("\xFF");
  EXPECT_EQ(ReadSubmit(intake, request.SerializeAsString(), &submission),
            "response.item[0].item[0].link_id");
}

// Parsers merge several occurrences of a field or use the last occurrence, so
// it is not known which value the client meant.
TEST(SubmitIntake, RefusesAFieldThatIsGivenTwiceAndNamesIt) {
  const SubmitIntake intake((LimitsConfig()));
  const v1::SubmitRequest request = MakeSubmit();
  const auto with = [&](const v1::SubmitRequest& more) {
    Submission submission;
    return ReadSubmit(intake,
                      request.SerializeAsString() + more.SerializeAsString(),
                      &submission);
  };
  v1::SubmitRequest more;
  more.set_submission_id("other");
  EXPECT_EQ(with(more), "submission_id");
  more.Clear();
  more.set_study_id("study");
  EXPECT_EQ(with(more), "study_id");
  more.Clear();
  more.set_site_id("other");
  EXPECT_EQ(with(more), "site_id");
  more.Clear();
  more.mutable_response();
  EXPECT_EQ(with(more), "response") << "although it is empty";
}

TEST(SubmitIntake, RefusesAFieldOfTheResponseThatIsGivenTwice) {
  v1::SubmitRequest request = MakeSubmit();
  v1::QuestionnaireResponse second;
  second.set_questionnaire("another");
  const std::string response =
      request.response().SerializeAsString() + second.SerializeAsString();
  request.clear_response();
  const std::string content = request.SerializeAsString() + "\x22" +
                              static_cast<char>(response.size()) + response;
  ASSERT_LT(response.size(), 128u);
  Submission submission;
  EXPECT_EQ(ReadSubmit(SubmitIntake(LimitsConfig()), content, &submission),
            "response.questionnaire");
}

// --- ImportPatients and RecordEvents ---

v1::ImportPatientsRequest MakeImport() {
  v1::ImportPatientsRequest request;
  request.set_study_id("study");
  request.set_site_id("site");
  return request;
}

TEST(BulkIntake, RequiresAStudyAndLimitsItsIds) {
  for (const Method method : {Method::kImportPatients, Method::kRecordEvents}) {
    const BulkIntake intake(method, LimitsConfig());
    const auto field = [&](const v1::ImportPatientsRequest& request) {
      BulkIntake::Request read;
      const std::string content = request.SerializeAsString();
      return FieldOf(intake.Read(content, &read));
    };
    v1::ImportPatientsRequest request;
    EXPECT_EQ(field(request), "study_id");
    request.set_study_id(kTooLongId);
    EXPECT_EQ(field(request), "study_id");
    request.set_study_id(kLongestId);
    EXPECT_EQ(field(request), "");
    request.set_site_id(kTooLongId);
    EXPECT_EQ(field(request), "site_id");
  }
}

TEST(BulkIntake, LimitsTheNumberOfEntriesAndNamesThem) {
  v1::ImportPatientsRequest request = MakeImport();
  for (std::size_t i = 0; i < kMaxEntries; ++i) request.add_records();
  for (const auto& [method, name] : std::vector<std::pair<Method, std::string>>{
           {Method::kImportPatients, "records"},
           {Method::kRecordEvents, "events"}}) {
    const BulkIntake intake(method, LimitsConfig());
    std::string content = request.SerializeAsString();
    BulkIntake::Request read;
    EXPECT_EQ(FieldOf(intake.Read(content, &read)), "");
    EXPECT_THAT(read.entries, SizeIs(kMaxEntries));
    content.append("\x1A\0", 2);
    EXPECT_EQ(FieldOf(intake.Read(content, &read)), name);
  }
}

TEST(BulkIntake, ReadsEachEntryAsASubmissionOfItsOwn) {
  v1::ImportPatientsRequest request = MakeImport();
  request.add_records()->set_record_id("record");
  request.mutable_records(0)->set_patient_id("patient 1");
  request.add_records()->set_patient_id("patient 2");
  const std::string content = request.SerializeAsString();
  const BulkIntake intake(Method::kImportPatients, LimitsConfig());
  BulkIntake::Request read;
  ASSERT_EQ(FieldOf(intake.Read(content, &read)), "");
  std::vector<std::string> ids;
  for (int i = 0; i < request.records_size(); ++i) {
    Submission submission;
    const auto index = static_cast<std::size_t>(i);
    EXPECT_EQ(FieldOf(intake.ReadEntry(read, index, kSending, &submission)),
              "");
    EXPECT_EQ(submission.kind, SubmissionKind::kPatientRecord);
    EXPECT_EQ(submission.study_id, "study");
    EXPECT_EQ(submission.site_id, "site");
    EXPECT_EQ(submission.content, request.records(i).SerializeAsString());
    EXPECT_EQ(submission.received_at, kSending.received_at);
    EXPECT_EQ(submission.sent_at, kSending.sent_at);
    ids.push_back(submission.submission_id);
  }
  // A record without its own id has the id of its patient.
  EXPECT_THAT(ids, ElementsAre("record", "patient 2"));
}

// Returns the invalid field of a bulk entry; "" if the entry is valid.
std::string InvalidEntry(Method method, std::string_view entry,
                         const LimitsConfig& limits = {}) {
  BulkIntake::Request request;
  request.study_id = "study";
  request.entries = {"", entry};
  Submission submission;
  return FieldOf(
      BulkIntake(method, limits).ReadEntry(request, 1, kSending, &submission));
}

TEST(BulkIntake, NamesTheEntryAndWhatIsWrongWithIt) {
  constexpr Method kImport = Method::kImportPatients;
  constexpr Method kEvents = Method::kRecordEvents;
  EXPECT_EQ(InvalidEntry(kImport, ""), "records[1].record_id");
  EXPECT_EQ(InvalidEntry(kEvents, ""), "events[1].event_id");
  EXPECT_EQ(InvalidEntry(kImport, "\xFF"), "records[1]");
  EXPECT_EQ(InvalidEntry(kImport, "\x12\x01\xFF"), "records[1].patient_id");
  v1::AppEvent event;
  event.set_event_id(kTooLongId);
  EXPECT_EQ(InvalidEntry(kEvents, event.SerializeAsString()),
            "events[1].event_id");
  event.set_event_id(kLongestId);
  EXPECT_EQ(InvalidEntry(kEvents, event.SerializeAsString()), "");
}

TEST(BulkIntake, OfABadEntryTellsTheIdIfItCan) {
  // A valid id, followed by a field that is cut off.
  const std::string entry = "\x0A\x02id\x1A\x05x";
  BulkIntake::Request request;
  request.study_id = "study";
  request.entries = {entry};
  Submission submission;
  EXPECT_EQ(FieldOf(BulkIntake(Method::kRecordEvents, LimitsConfig())
                        .ReadEntry(request, 0, kSending, &submission)),
            "events[0].occurred_at");
  EXPECT_EQ(submission.submission_id, "id");
}

// --- GetReceipts ---

TEST(LookupIntake, RequiresAStudyAndLimitsIdsAndTheirNumber) {
  const LookupIntake intake{LimitsConfig()};
  const auto field = [&](const v1::GetReceiptsRequest& request) {
    LookupIntake::Request read;
    return FieldOf(intake.Read(request.SerializeAsString(), &read));
  };
  v1::GetReceiptsRequest request;
  EXPECT_EQ(field(request), "study_id");
  request.set_study_id("study");
  EXPECT_EQ(field(request), "");
  request.add_submission_ids(kLongestId);
  EXPECT_EQ(field(request), "");
  request.add_submission_ids(kTooLongId);
  EXPECT_EQ(field(request), "submission_ids[1]");
  request.clear_submission_ids();
  for (std::size_t i = 0; i < kMaxEntries; ++i) request.add_submission_ids("x");
  EXPECT_EQ(field(request), "");
  request.add_submission_ids("x");
  EXPECT_EQ(field(request), "submission_ids");
}

TEST(LookupIntake, KeepsTheOrderOfTheIds) {
  v1::GetReceiptsRequest request;
  request.set_study_id("study");
  for (const char* id : {"b", "", "a", "b"}) request.add_submission_ids(id);
  LookupIntake::Request read;
  ASSERT_EQ(FieldOf(LookupIntake(LimitsConfig())
                        .Read(request.SerializeAsString(), &read)),
            "");
  EXPECT_EQ(read.study_id, "study");
  EXPECT_THAT(read.submission_ids, ElementsAre("b", "", "a", "b"));
}

// --- All methods ---

TEST(ReadSending, TakesTheTimeOfSendingWhereItIsGiven) {
  const auto read = [](const std::optional<std::string>& sent_at,
                       Sending* sending) {
    grpc::ServerContext context;
    grpc::testing::ServerContextTestSpouse spouse(&context);
    if (sent_at) spouse.AddClientMetadata("sluice-sent-at", *sent_at);
    return FieldOf(ReadSending(context, sending));
  };
  Sending sending;
  const absl::Time before = absl::Now();
  EXPECT_EQ(read(std::nullopt, &sending), "");
  EXPECT_GE(sending.received_at, before);
  EXPECT_LE(sending.received_at, absl::Now());
  EXPECT_EQ(sending.sent_at, std::nullopt);
  EXPECT_EQ(read("2026-03-01T20:00:00+00:00", &sending), "");
  EXPECT_EQ(sending.sent_at, absl::FromUnixSeconds(1'772'395'200));
  for (const char* bad : {"", "yesterday", "2026-03-01", "1772395200"}) {
    EXPECT_EQ(read(bad, &sending), "sluice-sent-at") << bad;
  }
}

TEST(Flatten, JoinsTheSlices) {
  const std::vector<grpc::Slice> slices = {grpc::Slice("one "), grpc::Slice(),
                                           grpc::Slice("two")};
  std::string flat = "what was there before";
  Flatten({slices.data(), slices.size()}, &flat);
  EXPECT_EQ(flat, "one two");
  Flatten(grpc::ByteBuffer(), &flat);
  EXPECT_EQ(flat, "");
}

TEST(TooLarge, NamesTheLimit) {
  LimitsConfig limits;
  limits.message_bytes = 1000;
  const Violation violation = TooLarge(1001, limits);
  EXPECT_EQ(violation.field, "");
  EXPECT_THAT(violation.description, HasSubstr("1001"));
  EXPECT_THAT(violation.description, HasSubstr("limits.message_bytes"));
  EXPECT_THAT(violation.description, HasSubstr("1000"));
}

}  // namespace
}  // namespace sluice
