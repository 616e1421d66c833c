#include "tests/fakes/protobuf_decoder.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/time.h"
#include "forms/answers.h"
#include "forms/json_text.h"
#include "sluice/v1/ingestion.pb.h"

namespace sluice {
namespace {

using v1::QuestionnaireResponse;
using Answer = QuestionnaireResponse::Answer;

void Member(std::string_view name, std::string_view value, JsonWriter& json) {
  if (!value.empty()) json.Member(name, value);
}

const std::string& FirstOf(const std::string& preferred,
                           const std::string& other) {
  return preferred.empty() ? other : preferred;
}

void WriteValue(const Answer& answer, JsonWriter& json) {
  switch (answer.value_case()) {
    case Answer::kBoolean:
      return json.BareMember("value", answer.boolean() ? "true" : "false");
    case Answer::kDecimal:
      return Member("value", answer.decimal(), json);
    case Answer::kInteger:
      return json.BareMember("value", std::to_string(answer.integer()));
    case Answer::kDate:
      return Member("value", answer.date(), json);
    case Answer::kDateTime:
      return Member("value", answer.date_time(), json);
    case Answer::kTime:
      return Member("value", answer.time(), json);
    case Answer::kString:
      return Member("value", answer.string(), json);
    case Answer::kUri:
      return Member("value", answer.uri(), json);
    case Answer::kCoding: {
      const v1::Coding& coding = answer.coding();
      Member("value", FirstOf(coding.code(), coding.display()), json);
      Member("display", coding.display(), json);
      return Member("system", coding.system(), json);
    }
    case Answer::kQuantity: {
      const v1::Quantity& quantity = answer.quantity();
      Member("value", quantity.value(), json);
      Member("comparator", quantity.comparator(), json);
      return Member("unit", FirstOf(quantity.unit(), quantity.code()), json);
    }
    case Answer::kAttachment: {
      const v1::Attachment& attachment = answer.attachment();
      return Member("value", FirstOf(attachment.url(), attachment.title()),
                    json);
    }
    case Answer::kReference: {
      const v1::Reference& reference = answer.reference();
      Member("value", FirstOf(reference.reference(), reference.display()),
             json);
      return Member("display", reference.display(), json);
    }
    case Answer::VALUE_NOT_SET:
      break;
  }
}

void WriteItem(const QuestionnaireResponse::Item& item, JsonWriter& json) {
  for (const Answer& answer : item.answer()) {
    if (answer.value_case() != Answer::VALUE_NOT_SET) {
      const auto* field =
          Answer::descriptor()->FindFieldByNumber(answer.value_case());
      json.BeginObject();
      Member("link_id", item.link_id(), json);
      json.Member("type", field->name());
      WriteValue(answer, json);
      json.EndObject();
    }
    for (const auto& child : answer.item()) WriteItem(child, json);
  }
  for (const auto& child : item.item()) WriteItem(child, json);
}

bool DecodeRequest(Submission* submission) {
  v1::SubmitRequest request;
  if (!request.ParseFromString(submission->content) ||
      !request.has_response()) {
    return false;
  }
  const QuestionnaireResponse& response = request.response();
  submission->subject = response.subject().reference();
  submission->questionnaire = response.questionnaire();
  submission->status = StatusCode(response.status());
  submission->authored = response.authored();
  submission->authored_at = ParseInstant(response.authored());
  submission->answers_json = AnswersByProtobuf(response);
  submission->supersedes_submission_id = request.supersedes_submission_id();
  submission->reason_for_change = request.reason_for_change();
  return true;
}

bool DecodeRecord(Submission* submission) {
  v1::PatientRecord record;
  if (!record.ParseFromString(submission->content)) return false;
  submission->subject = record.patient_id();
  return true;
}

bool DecodeEvent(Submission* submission) {
  v1::AppEvent event;
  if (!event.ParseFromString(submission->content)) return false;
  if (event.has_occurred_at()) {
    submission->authored_at =
        absl::FromUnixSeconds(event.occurred_at().seconds()) +
        absl::Nanoseconds(event.occurred_at().nanos());
  }
  return true;
}

}  // namespace

std::string AnswersByProtobuf(const QuestionnaireResponse& response) {
  std::string out;
  JsonWriter json(out);
  json.BeginArray();
  for (const auto& item : response.item()) WriteItem(item, json);
  json.EndArray();
  return out;
}

std::optional<Submission> DecodedByProtobuf(SubmissionKind kind,
                                            std::string_view content) {
  Submission submission;
  submission.kind = kind;
  submission.content = content;
  const auto decode = kind == SubmissionKind::kQuestionnaireResponse
                          ? DecodeRequest
                      : kind == SubmissionKind::kPatientRecord ? DecodeRecord
                                                               : DecodeEvent;
  if (!decode(&submission)) return std::nullopt;
  return submission;
}

std::string DecodedFields(const Submission& submission) {
  const std::string authored_at =
      submission.authored_at.has_value()
          ? absl::StrCat(absl::ToUnixSeconds(*submission.authored_at), ".",
                         absl::ToUnixNanos(*submission.authored_at -
                                           absl::Seconds(absl::ToUnixSeconds(
                                               *submission.authored_at))))
          : "none";
  return absl::StrJoin(
      {submission.subject, submission.questionnaire, submission.status,
       submission.authored, authored_at, submission.supersedes_submission_id,
       submission.reason_for_change, submission.answers_json},
      "\n");
}

}  // namespace sluice
