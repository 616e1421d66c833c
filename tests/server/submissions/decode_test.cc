#include "server/submissions/decode.h"

#include <malloc.h>

#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>

#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "sluice/v1/ingestion.pb.h"
#include "tests/fakes/test_server.h"

namespace sluice {
namespace {

Submission Decoded(const std::string& content) {
  Submission submission;
  submission.content = content;
  Decode(&submission);
  return submission;
}

v1::SubmitRequest MakeCorrection() {
  v1::SubmitRequest request = MakeSubmit("2");
  request.set_supersedes_submission_id("1");
  request.set_reason_for_change("reason");
  return request;
}

TEST(Decode, ReadsWhatTheStoreKeepsBesideTheContent) {
  const Submission submission = Decoded(MakeCorrection().SerializeAsString());
  EXPECT_EQ(submission.subject, "Patient/1");
  EXPECT_EQ(submission.questionnaire, "http://example.org/phq-9|1.0");
  EXPECT_EQ(submission.status, "completed");
  EXPECT_EQ(submission.authored, "2026-03-01T20:15:00+01:00");
  EXPECT_EQ(submission.authored_at, absl::FromUnixSeconds(1'772'392'500));
  EXPECT_EQ(submission.supersedes_submission_id, "1");
  EXPECT_EQ(submission.reason_for_change, "reason");
  EXPECT_EQ(submission.answers_json,
            R"([{"link_id":"44250-9","type":"coding","value":"LA6569-3"}])");
}

TEST(Decode, HasNothingOfTheOneBefore) {
  Decoded(MakeCorrection().SerializeAsString());
  v1::SubmitRequest empty;
  empty.mutable_response();
  const Submission submission = Decoded(empty.SerializeAsString());
  EXPECT_EQ(submission.subject, "");
  EXPECT_EQ(submission.questionnaire, "");
  EXPECT_EQ(submission.status, "");
  EXPECT_EQ(submission.authored, "");
  EXPECT_EQ(submission.authored_at, std::nullopt);
  EXPECT_EQ(submission.supersedes_submission_id, "");
  EXPECT_EQ(submission.answers_json, "[]");
}

// Older versions acknowledged contents in which the response comes in parts.
// Every protobuf parser merges the parts.
TEST(Decode, MergesAResponseThatComesInParts) {
  v1::SubmitRequest second;
  second.mutable_response()->set_questionnaire("form|2");
  const Submission submission = Decoded(MakeCorrection().SerializeAsString() +
                                        second.SerializeAsString());
  EXPECT_EQ(submission.questionnaire, "form|2");
  EXPECT_EQ(submission.subject, "Patient/1");
}

TEST(Decode, ThrowsForWhatIsNoSubmission) {
  v1::SubmitRequest without_response;
  without_response.set_submission_id("id");
  for (const std::string& content : {std::string(), std::string("\xFF"),
                                     without_response.SerializeAsString(),
                                     std::string("\x22\x02\x0A\x7F", 4)}) {
    EXPECT_THROW(Decoded(content), std::invalid_argument);
  }
}

// Each response has many answers at a place where no earlier response had any.
TEST(Decode, KeepsNoRoomForAllThatEverWas) {
  if (mallinfo2().uordblks == 0) GTEST_SKIP() << "the allocator does not say";
  constexpr int kPlaces = 400;
  constexpr int kAnswers = 2000;
  const auto used = [] {
    return static_cast<std::int64_t>(mallinfo2().uordblks);
  };
  const std::int64_t before = used();
  for (int place = 0; place < kPlaces; ++place) {
    v1::SubmitRequest request;
    for (int i = 0; i <= place; ++i) request.mutable_response()->add_item();
    auto* item = request.mutable_response()->mutable_item(place);
    for (int i = 0; i < kAnswers; ++i) item->add_answer();
    Decoded(request.SerializeAsString());
  }
  EXPECT_LT(used() - before, std::int64_t{kPlaces} * kAnswers * 16);
}

}  // namespace
}  // namespace sluice
