// Every submission that passes the wire check is decoded to the values that
// protobuf reads. So is any other input that both protobuf and the decoder
// accept. The readers of single fields (order key, intake) find the same values
// in submissions that pass the wire check. A request without a response is
// rejected by an exception. Any other input is decoded or rejected, and never
// causes a crash.
//
// Input: a byte that chooses the kind, then the content.

#include <stdexcept>
#include <string>
#include <string_view>

#include "forms/wire_check.h"
#include "server/submissions/decode.h"
#include "sluice/v1/ingestion.pb.h"
#include "tests/fakes/protobuf_decoder.h"
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

// Checks the readers of single fields.
void CheckSubject(const Submission& submission) {
  const std::string& content = submission.content;
  std::string_view subject;
  if (submission.kind == SubmissionKind::kQuestionnaireResponse) {
    const std::string_view response =
        FindLengthDelimited(content, v1::SubmitRequest::kResponseFieldNumber);
    subject = FindLengthDelimited(
        FindLengthDelimited(response,
                            v1::QuestionnaireResponse::kSubjectFieldNumber),
        v1::Reference::kReferenceFieldNumber);
  } else if (submission.kind == SubmissionKind::kPatientRecord) {
    subject =
        FindLengthDelimited(content, v1::PatientRecord::kPatientIdFieldNumber);
  }
  Require(submission.subject == subject,
          "the subject is found as it is decoded");
}

}  // namespace

void FuzzOne(std::string_view input) {
  InputReader reader(input);
  Submission submission;
  submission.kind = static_cast<SubmissionKind>(reader.Below(3));
  submission.content = reader.Rest();
  const bool passes = Passes(submission.kind, submission.content);
  const auto expected = DecodedByProtobuf(submission.kind, submission.content);
  bool decoded = true;
  try {
    Decode(&submission);
  } catch (const std::invalid_argument&) {
    decoded = false;
  }
  // Older versions accepted contents with repeated fields, which do not pass
  // today. They too are read as protobuf reads them.
  if (decoded && expected.has_value()) {
    Require(DecodedFields(submission) == DecodedFields(*expected),
            "the values are the values that protobuf reads");
  }
  if (!passes) return;
  Require(decoded == expected.has_value(),
          "what passed the wire check is decoded as protobuf reads it");
  CheckSubject(submission);
}

}  // namespace sluice
