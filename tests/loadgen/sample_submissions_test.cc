#include "loadgen/sample_submissions.h"

#include <set>
#include <string>

#include "gtest/gtest.h"
#include "sluice/v1/ingestion.pb.h"

namespace sluice {
namespace {

const absl::Time kNow = absl::FromUnixSeconds(1'772'395'200);

SampleOptions Options(SampleKind kind) {
  SampleOptions options;
  options.kind = kind;
  options.form.evening = kNow;
  return options;
}

template <typename Message>
Message Parsed(const Sample& sample) {
  Message message;
  EXPECT_TRUE(message.ParseFromArray(sample.bytes.data(),
                                     static_cast<int>(sample.bytes.size())));
  return message;
}

TEST(SampleSubmissions, SubmitRequestsLookReal) {
  SampleSubmissions samples(Options(SampleKind::kSubmitRequest));
  std::set<std::string> ids;
  std::set<std::string> questionnaires;
  for (int i = 0; i < 1000; ++i) {
    const auto request = Parsed<v1::SubmitRequest>(samples.Next(kNow));
    EXPECT_TRUE(IsUuid(request.submission_id()));
    ids.insert(request.submission_id());
    EXPECT_EQ(request.study_id(), "STUDY-001");
    EXPECT_FALSE(request.site_id().empty());
    const auto& response = request.response();
    questionnaires.insert(response.questionnaire());
    EXPECT_EQ(response.status(), v1::QuestionnaireResponse::COMPLETED);
    EXPECT_FALSE(response.subject().reference().empty());
    absl::Time authored;
    EXPECT_TRUE(absl::ParseTime(absl::RFC3339_full, response.authored(),
                                &authored, nullptr));
    EXPECT_GE(authored, kNow);
    EXPECT_GE(response.item_size(), 8);
    for (const auto& item : response.item()) {
      EXPECT_FALSE(item.link_id().empty());
      EXPECT_EQ(item.answer_size(), 1);
    }
    EXPECT_LT(request.capture().started_at().seconds(),
              request.capture().completed_at().seconds());
  }
  EXPECT_EQ(ids.size(), 1000U);
  EXPECT_EQ(questionnaires.size(), 2U);
}

TEST(SampleSubmissions, TheTotalScoreIsThatOfTheAnswers) {
  SampleSubmissions samples(Options(SampleKind::kSubmitRequest));
  const std::string kFrequencies = "LA6568-5 LA6569-3 LA6570-1 LA6571-9";
  for (int i = 0; i < 100; ++i) {
    const auto request = Parsed<v1::SubmitRequest>(samples.Next(kNow));
    std::size_t score = 0;
    for (const auto& item : request.response().item()) {
      if (!item.answer(0).has_coding()) continue;
      score += kFrequencies.find(item.answer(0).coding().code()) / 9;
    }
    const auto& total = *request.response().item().rbegin();
    EXPECT_EQ(total.answer(0).quantity().value(), std::to_string(score));
  }
}

TEST(SampleSubmissions, HasAsManyAnswersAsAsked) {
  for (const int answers : {1, 2, 10, 50}) {
    SampleOptions options = Options(SampleKind::kSubmitRequest);
    options.form.answers = answers;
    SampleSubmissions samples(options);
    const auto request = Parsed<v1::SubmitRequest>(samples.Next(kNow));
    std::set<std::string> link_ids;
    for (const auto& item : request.response().item()) {
      link_ids.insert(item.link_id());
    }
    EXPECT_EQ(link_ids.size(), static_cast<std::size_t>(answers));
  }
}

TEST(SampleSubmissions, IsAboutAsLargeAsAsked) {
  for (const std::size_t size : {4000U, 100'000U}) {
    SampleOptions options = Options(SampleKind::kSubmitRequest);
    options.form.bytes_min = size;
    SampleSubmissions samples(options);
    EXPECT_NEAR(static_cast<double>(samples.Next(kNow).bytes.size()),
                static_cast<double>(size), 32);
  }
}

TEST(SampleSubmissions, KnowsItsFirstId) {
  SampleSubmissions samples(Options(SampleKind::kSubmitRequest));
  const Sample sample = samples.Next(kNow);
  EXPECT_EQ(std::string(sample.first_id),
            Parsed<v1::SubmitRequest>(sample).submission_id());
}

TEST(SampleSubmissions, OtherRequestsHaveTheirEntriesWithIdsOfTheirOwn) {
  std::set<std::string> ids;
  SampleOptions options = Options(SampleKind::kImportPatientsRequest);
  options.entries = 20;
  SampleSubmissions imports(options);
  const auto import = Parsed<v1::ImportPatientsRequest>(imports.Next(kNow));
  for (const auto& record : import.records()) {
    ids.insert(record.record_id());
    EXPECT_FALSE(record.patient_id().empty());
    EXPECT_FALSE(record.data().empty());
  }
  options.kind = SampleKind::kRecordEventsRequest;
  options.seed = 2;
  SampleSubmissions events(options);
  const auto recording = Parsed<v1::RecordEventsRequest>(events.Next(kNow));
  for (const auto& event : recording.events()) {
    ids.insert(event.event_id());
    EXPECT_FALSE(event.name().empty());
  }
  options.kind = SampleKind::kGetReceiptsRequest;
  options.seed = 3;
  SampleSubmissions receipts(options);
  const auto question = Parsed<v1::GetReceiptsRequest>(receipts.Next(kNow));
  for (const auto& id : question.submission_ids()) ids.insert(id);
  EXPECT_EQ(ids.size(), 60U);
}

TEST(SampleSubmissions, FollowFromTheSeedWithRandomIds) {
  SampleOptions options = Options(SampleKind::kSubmitRequest);
  options.id_version = UuidVersion::kRandom;
  options.seed = 9;
  SampleSubmissions first(options);
  SampleSubmissions again(options);
  // Make more requests than there are templates.
  for (int i = 0; i < 600; ++i) {
    const absl::Time later = kNow + absl::Hours(i);
    EXPECT_EQ(std::string(first.Next(kNow).bytes),
              std::string(again.Next(later).bytes));
  }
}

// With the same seed, `receipts` asks for the ids that `submit` sent.
TEST(SampleSubmissions, TheSameSeedAsksForTheIdsThatWereSent) {
  SampleOptions options = Options(SampleKind::kSubmitRequest);
  options.id_version = UuidVersion::kRandom;
  SampleSubmissions sent(options);
  options.kind = SampleKind::kGetReceiptsRequest;
  options.entries = 10;
  SampleSubmissions asked(options);
  const auto request = Parsed<v1::GetReceiptsRequest>(asked.Next(kNow));
  for (const std::string& id : request.submission_ids()) {
    EXPECT_EQ(std::string(sent.Next(kNow).first_id), id);
  }
}

}  // namespace
}  // namespace sluice
