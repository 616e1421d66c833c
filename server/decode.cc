#include "server/decode.h"

#include <stdexcept>

#include "absl/time/time.h"
#include "forms/answers.h"
#include "forms/content.h"
#include "sluice/v1/ingestion.pb.h"
#include "stores/content_type.h"

namespace sluice {
namespace {

// A message that the thread uses again and again, since that spares most of
// what parsing allocates.
template <typename Message>
const Message& Parse(std::string_view content) {
  thread_local Message message;
  if (!message.ParseFromArray(content.data(),
                              static_cast<int>(content.size()))) {
    throw std::invalid_argument("content does not parse");
  }
  return message;
}

void DecodeResponse(Submission* submission) {
  const auto& request = Parse<v1::SubmitRequest>(submission->content);
  const v1::QuestionnaireResponse& response = request.response();
  submission->subject = response.subject().reference();
  submission->questionnaire = response.questionnaire();
  submission->status = StatusCode(response.status());
  submission->authored = response.authored();
  submission->authored_at = ParseInstant(response.authored());
  submission->supersedes_submission_id = request.supersedes_submission_id();
  submission->reason_for_change = request.reason_for_change();
  submission->answers_json = AnswersJson(response);
}

void DecodeRecord(Submission* submission) {
  submission->subject =
      Parse<v1::PatientRecord>(submission->content).patient_id();
}

void DecodeEvent(Submission* submission) {
  const auto& event = Parse<v1::AppEvent>(submission->content);
  if (!event.has_occurred_at()) return;
  submission->authored_at =
      absl::FromUnixSeconds(event.occurred_at().seconds()) +
      absl::Nanoseconds(event.occurred_at().nanos());
}

}  // namespace

void Decode(Submission* submission) {
  switch (submission->kind) {
    case SubmissionKind::kQuestionnaireResponse:
      DecodeResponse(submission);
      break;
    case SubmissionKind::kPatientRecord:
      DecodeRecord(submission);
      break;
    case SubmissionKind::kAppEvent:
      DecodeEvent(submission);
      break;
  }
}

bool SameContentOfKind(SubmissionKind kind, std::string_view a,
                       std::string_view b) {
  return SameMessage(ContentType(kind), a, b);
}

}  // namespace sluice
