// Every submission that passes the wire check is decoded to the values that
// protobuf reads. The readers of single fields (order key, intake) find the
// same values. A request without a response is rejected by an exception. Any
// other input is decoded or rejected, and never causes a crash.
//
// Input: a byte that chooses the kind, then the content.

#include <optional>
#include <stdexcept>
#include <string>

#include "absl/time/time.h"
#include "forms/answers.h"
#include "forms/wire_check.h"
#include "server/submissions/decode.h"
#include "sluice/v1/ingestion.pb.h"
#include "tests/fuzz/fuzz.h"

namespace sluice {
namespace {

bool Passes(SubmissionKind kind, std::string_view content) {
  static const WireChecker request(v1::SubmitRequest::descriptor(), 100);
  static const WireChecker record(v1::PatientRecord::descriptor(), 99);
  static const WireChecker event(v1::AppEvent::descriptor(), 99);
  switch (kind) {
    case SubmissionKind::kQuestionnaireResponse:
      return !request.Check(content);
    case SubmissionKind::kPatientRecord:
      return !record.Check(content);
    case SubmissionKind::kAppEvent:
      return !event.Check(content);
  }
  return false;
}

void CheckResponse(const Submission& submission) {
  v1::SubmitRequest request;
  Require(request.ParseFromString(submission.content), "the request parses");
  const auto& response = request.response();
  Require(submission.subject == response.subject().reference() &&
              submission.questionnaire == response.questionnaire() &&
              submission.status == StatusCode(response.status()) &&
              submission.authored == response.authored() &&
              submission.authored_at == ParseInstant(response.authored()) &&
              submission.answers_json == AnswersJson(response) &&
              submission.supersedes_submission_id ==
                  request.supersedes_submission_id() &&
              submission.reason_for_change == request.reason_for_change(),
          "a response is decoded as protobuf reads it");
  const std::string_view found = FindLengthDelimited(
      submission.content, v1::SubmitRequest::kResponseFieldNumber);
  const std::string_view subject = FindLengthDelimited(
      found, v1::QuestionnaireResponse::kSubjectFieldNumber);
  Require(
      submission.subject ==
          FindLengthDelimited(subject, v1::Reference::kReferenceFieldNumber),
      "the subject is found as it is decoded");
}

void CheckRecord(const Submission& submission) {
  v1::PatientRecord record;
  Require(record.ParseFromString(submission.content), "the record parses");
  Require(submission.subject == record.patient_id(),
          "a record is decoded as protobuf reads it");
  Require(submission.subject ==
              FindLengthDelimited(submission.content,
                                  v1::PatientRecord::kPatientIdFieldNumber),
          "the subject is found as it is decoded");
}

void CheckEvent(const Submission& submission) {
  v1::AppEvent event;
  Require(event.ParseFromString(submission.content), "the event parses");
  std::optional<absl::Time> occurred_at;
  if (event.has_occurred_at()) {
    occurred_at = absl::FromUnixSeconds(event.occurred_at().seconds()) +
                  absl::Nanoseconds(event.occurred_at().nanos());
  }
  Require(submission.authored_at == occurred_at,
          "an event is decoded as protobuf reads it");
}

}  // namespace

void FuzzOne(std::string_view input) {
  InputReader reader(input);
  Submission submission;
  submission.kind = static_cast<SubmissionKind>(reader.Below(3));
  submission.content = reader.Rest();
  const bool passes = Passes(submission.kind, submission.content);
  try {
    Decode(&submission);
  } catch (const std::invalid_argument&) {
    if (!passes) return;
    v1::SubmitRequest request;
    Require(submission.kind == SubmissionKind::kQuestionnaireResponse &&
                request.ParseFromString(submission.content) &&
                !request.has_response(),
            "what passed the wire check is decoded");
    return;
  }
  if (!passes) return;
  switch (submission.kind) {
    case SubmissionKind::kQuestionnaireResponse:
      return CheckResponse(submission);
    case SubmissionKind::kPatientRecord:
      return CheckRecord(submission);
    case SubmissionKind::kAppEvent:
      return CheckEvent(submission);
  }
}

}  // namespace sluice
