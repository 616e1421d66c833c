#include "server/submissions/decode.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string_view>

#include "absl/time/time.h"
#include "forms/answers.h"
#include "forms/content.h"
#include "forms/wire_check.h"
#include "google/protobuf/io/coded_stream.h"
#include "google/protobuf/message.h"
#include "sluice/v1/ingestion.pb.h"
#include "stores/content_type.h"

namespace sluice {
namespace {

// A message keeps the memory of everything that was ever parsed into it. It is
// therefore replaced after this many bytes were parsed into it.
constexpr std::size_t kReusedForBytes = std::size_t{256} << 10;

// Returns the thread's empty message, into which `bytes` bytes will be parsed.
// Reusing a message saves most allocations of parsing.
template <typename Message>
Message& ToParse(std::size_t bytes) {
  thread_local Message message;
  thread_local std::size_t parsed_bytes = 0;
  parsed_bytes += bytes;
  if (parsed_bytes <= kReusedForBytes) {
    message.Clear();
  } else {
    Message().Swap(&message);
    parsed_bytes = bytes;
  }
  return message;
}

void MergeInto(google::protobuf::Message* message, std::string_view bytes) {
  google::protobuf::io::CodedInputStream input(
      reinterpret_cast<const std::uint8_t*>(bytes.data()),
      static_cast<int>(bytes.size()));
  if (!message->MergeFromCodedStream(&input) ||
      !input.ConsumedEntireMessage()) {
    throw std::invalid_argument("content does not parse");
  }
}

template <typename Message>
const Message& Parse(std::string_view content) {
  auto& message = ToParse<Message>(content.size());
  MergeInto(&message, content);
  return message;
}

// Parses the response of a request. The response is parsed into a separate
// message, because a reused message does not keep the memory of its
// submessages.
const v1::QuestionnaireResponse& ParseResponse(std::string_view request) {
  auto& response = ToParse<v1::QuestionnaireResponse>(request.size());
  const auto parts =
      FindRepeated(request, v1::SubmitRequest::kResponseFieldNumber);
  if (parts.empty()) throw std::invalid_argument("content has no response");
  // The wire check allows only one part. A journal that an older version wrote
  // may have contents with several parts. Merge the parts as every protobuf
  // parser does.
  for (const std::string_view part : parts) MergeInto(&response, part);
  return response;
}

void DecodeResponse(Submission* submission) {
  using Request = v1::SubmitRequest;
  const auto& response = ParseResponse(submission->content);
  submission->subject = response.subject().reference();
  submission->questionnaire = response.questionnaire();
  submission->status = StatusCode(response.status());
  submission->authored = response.authored();
  submission->authored_at = ParseInstant(response.authored());
  submission->answers_json = AnswersJson(response);
  constexpr std::array<int, 2> kFields = {
      Request::kSupersedesSubmissionIdFieldNumber,
      Request::kReasonForChangeFieldNumber};
  std::array<std::string_view, kFields.size()> found;
  FindLengthDelimited(submission->content, kFields, found);
  submission->supersedes_submission_id = found[0];
  submission->reason_for_change = found[1];
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
