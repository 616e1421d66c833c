#include "server/submissions/decode.h"

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>

#include "absl/time/time.h"
#include "forms/answers.h"
#include "forms/content.h"
#include "forms/wire_reader.h"
#include "google/protobuf/timestamp.pb.h"
#include "sluice/v1/ingestion.pb.h"
#include "stores/content_type.h"

namespace sluice {
namespace {

using wire::FieldReader;
using wire::LengthDelimitedTag;
using wire::VarintTag;

// Throws unless a message was read to its end.
void RequireOk(const FieldReader& fields) {
  if (!fields.ok()) throw std::invalid_argument("content does not parse");
}

// Reads a string field of a message into `text`, if the message has the field.
template <typename Text>
void ReadText(std::string_view message, int field, Text* text) {
  FieldReader fields(message);
  while (fields.Next()) {
    if (fields.tag() == LengthDelimitedTag(field)) *text = fields.content();
  }
  RequireOk(fields);
}

// The wire check allows each singular field only once. A journal that an older
// version wrote may have contents with repeated fields. The functions below
// read such contents as every protobuf parser does: the last value counts, and
// the parts of a message are merged.

void DecodeResponse(std::string_view response, Submission* submission,
                    AnswerRows* rows) {
  using Response = v1::QuestionnaireResponse;
  FieldReader fields(response);
  while (fields.Next()) {
    switch (fields.tag()) {
      case LengthDelimitedTag(Response::kQuestionnaireFieldNumber):
        submission->questionnaire = fields.content();
        break;
      case VarintTag(Response::kStatusFieldNumber):
        submission->status = StatusCode(static_cast<Response::Status>(
            static_cast<std::int32_t>(fields.number())));
        break;
      case LengthDelimitedTag(Response::kSubjectFieldNumber):
        ReadText(fields.content(), v1::Reference::kReferenceFieldNumber,
                 &submission->subject);
        break;
      case LengthDelimitedTag(Response::kAuthoredFieldNumber):
        submission->authored = fields.content();
        break;
      case LengthDelimitedTag(Response::kItemFieldNumber):
        if (!rows->AddItem(fields.content())) {
          throw std::invalid_argument(
              "the response does not parse, or its answers are too large");
        }
        break;
      default:
        break;
    }
  }
  RequireOk(fields);
}

void DecodeRequest(Submission* submission) {
  using Request = v1::SubmitRequest;
  for (std::string* column :
       {&submission->subject, &submission->questionnaire, &submission->status,
        &submission->authored, &submission->supersedes_submission_id,
        &submission->reason_for_change}) {
    column->clear();
  }
  bool has_response = false;
  AnswerRows rows(&submission->answers_json, submission->content.size());
  FieldReader fields(submission->content);
  while (fields.Next()) {
    switch (fields.tag()) {
      case LengthDelimitedTag(Request::kResponseFieldNumber):
        has_response = true;
        DecodeResponse(fields.content(), submission, &rows);
        break;
      case LengthDelimitedTag(Request::kSupersedesSubmissionIdFieldNumber):
        submission->supersedes_submission_id = fields.content();
        break;
      case LengthDelimitedTag(Request::kReasonForChangeFieldNumber):
        submission->reason_for_change = fields.content();
        break;
      default:
        break;
    }
  }
  RequireOk(fields);
  if (!has_response) throw std::invalid_argument("content has no response");
  rows.End();
  submission->authored_at = ParseInstant(submission->authored);
}

void DecodeRecord(Submission* submission) {
  ReadText(submission->content, v1::PatientRecord::kPatientIdFieldNumber,
           &submission->subject);
}

void DecodeEvent(Submission* submission) {
  using google::protobuf::Timestamp;
  bool has_time = false;
  std::int64_t seconds = 0;
  std::int32_t nanos = 0;
  FieldReader fields(submission->content);
  while (fields.Next()) {
    if (fields.tag() !=
        LengthDelimitedTag(v1::AppEvent::kOccurredAtFieldNumber)) {
      continue;
    }
    has_time = true;
    FieldReader parts(fields.content());
    while (parts.Next()) {
      if (parts.tag() == VarintTag(Timestamp::kSecondsFieldNumber)) {
        seconds = static_cast<std::int64_t>(parts.number());
      } else if (parts.tag() == VarintTag(Timestamp::kNanosFieldNumber)) {
        nanos = static_cast<std::int32_t>(parts.number());
      }
    }
    RequireOk(parts);
  }
  RequireOk(fields);
  if (!has_time) return;
  submission->authored_at =
      absl::FromUnixSeconds(seconds) + absl::Nanoseconds(nanos);
}

}  // namespace

void Decode(Submission* submission) {
  switch (submission->kind) {
    case SubmissionKind::kQuestionnaireResponse:
      DecodeRequest(submission);
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
