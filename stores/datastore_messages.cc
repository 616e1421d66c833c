#include "stores/datastore_messages.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "google/protobuf/timestamp.pb.h"

namespace sluice {
namespace {

using google::protobuf::Timestamp;

// The range of a Timestamp (timestamp.proto): 0001-01-01T00:00:00Z to
// 9999-12-31T23:59:59Z.
constexpr std::int64_t kFirstSecond = -62'135'596'800;
constexpr std::int64_t kLastSecond = 253'402'300'799;

absl::Status Malformed(absl::string_view what) {
  return absl::InvalidArgumentError(what);
}

v1::Submission::Kind ToMessage(SubmissionKind kind) {
  switch (kind) {
    case SubmissionKind::kQuestionnaireResponse:
      return v1::Submission::QUESTIONNAIRE_RESPONSE;
    case SubmissionKind::kPatientRecord:
      return v1::Submission::PATIENT_RECORD;
    case SubmissionKind::kAppEvent:
      return v1::Submission::APP_EVENT;
  }
  return v1::Submission::KIND_UNSPECIFIED;
}

std::optional<SubmissionKind> FromMessage(v1::Submission::Kind kind) {
  switch (kind) {
    case v1::Submission::QUESTIONNAIRE_RESPONSE:
      return SubmissionKind::kQuestionnaireResponse;
    case v1::Submission::PATIENT_RECORD:
      return SubmissionKind::kPatientRecord;
    case v1::Submission::APP_EVENT:
      return SubmissionKind::kAppEvent;
    default:
      return std::nullopt;
  }
}

std::optional<Timestamp> ToMessage(const std::optional<absl::Time>& time) {
  if (!time.has_value()) return std::nullopt;
  const std::int64_t seconds = absl::ToUnixSeconds(*time);
  if (seconds < kFirstSecond || seconds > kLastSecond) return std::nullopt;
  Timestamp timestamp;
  timestamp.set_seconds(seconds);
  timestamp.set_nanos(static_cast<std::int32_t>(
      absl::ToInt64Nanoseconds(*time - absl::FromUnixSeconds(seconds))));
  return timestamp;
}

std::optional<absl::Time> FromMessage(const Timestamp& timestamp) {
  if (timestamp.seconds() < kFirstSecond || timestamp.seconds() > kLastSecond ||
      timestamp.nanos() < 0 || timestamp.nanos() > 999'999'999) {
    return std::nullopt;
  }
  return absl::FromUnixSeconds(timestamp.seconds()) +
         absl::Nanoseconds(timestamp.nanos());
}

std::string AsBytes(const Sha256Digest& digest) {
  return {digest.begin(), digest.end()};
}

// Reads a digest. Returns false if `bytes` are not a digest.
bool ReadDigest(std::string_view bytes, Sha256Digest* digest) {
  if (bytes.size() != digest->size()) return false;
  std::ranges::copy(bytes, digest->begin());
  return true;
}

}  // namespace

v1::Submission ToMessage(const Submission& submission) {
  v1::Submission message;
  message.set_kind(ToMessage(submission.kind));
  message.set_sequence(submission.sequence);
  message.set_study_id(submission.study_id);
  message.set_submission_id(submission.submission_id);
  message.set_site_id(submission.site_id);
  message.set_content(submission.content);
  message.set_content_sha256(AsBytes(submission.content_sha256));
  if (const auto time = ToMessage(submission.received_at)) {
    *message.mutable_received_at() = *time;
  }
  if (const auto time = ToMessage(submission.sent_at)) {
    *message.mutable_sent_at() = *time;
  }
  message.set_subject(submission.subject);
  message.set_questionnaire(submission.questionnaire);
  message.set_status(submission.status);
  message.set_authored(submission.authored);
  if (const auto time = ToMessage(submission.authored_at)) {
    *message.mutable_authored_at() = *time;
  }
  message.set_supersedes_submission_id(submission.supersedes_submission_id);
  message.set_reason_for_change(submission.reason_for_change);
  message.set_answers_json(submission.answers_json);
  message.set_reported_sequence(submission.reported_sequence);
  return message;
}

v1::StoredReceipt ToMessage(const StoredReceipt& receipt) {
  v1::StoredReceipt message;
  message.set_sequence(receipt.sequence);
  if (const auto time = ToMessage(receipt.received_at)) {
    *message.mutable_received_at() = *time;
  }
  message.set_content_sha256(AsBytes(receipt.content_sha256));
  return message;
}

absl::StatusOr<Submission> FromMessage(v1::Submission&& message) {
  Submission submission;
  const auto kind = FromMessage(message.kind());
  if (!kind) return Malformed("kind is not a known one");
  submission.kind = *kind;
  if (message.sequence() <= 0) return Malformed("sequence is not positive");
  submission.sequence = message.sequence();
  if (message.reported_sequence() < 0) {
    return Malformed("reported_sequence is negative");
  }
  submission.reported_sequence = message.reported_sequence();
  if (!ReadDigest(message.content_sha256(), &submission.content_sha256)) {
    return Malformed("content_sha256 is not a SHA-256");
  }
  const auto received_at = FromMessage(message.received_at());
  if (!message.has_received_at() || !received_at) {
    return Malformed("received_at is not a time");
  }
  submission.received_at = *received_at;
  if (message.has_sent_at()) {
    submission.sent_at = FromMessage(message.sent_at());
    if (!submission.sent_at) return Malformed("sent_at is not a time");
  }
  if (message.has_authored_at()) {
    submission.authored_at = FromMessage(message.authored_at());
    if (!submission.authored_at) return Malformed("authored_at is not a time");
  }
  submission.study_id = std::move(*message.mutable_study_id());
  submission.submission_id = std::move(*message.mutable_submission_id());
  submission.site_id = std::move(*message.mutable_site_id());
  submission.content = std::move(*message.mutable_content());
  submission.subject = std::move(*message.mutable_subject());
  submission.questionnaire = std::move(*message.mutable_questionnaire());
  submission.status = std::move(*message.mutable_status());
  submission.authored = std::move(*message.mutable_authored());
  submission.supersedes_submission_id =
      std::move(*message.mutable_supersedes_submission_id());
  submission.reason_for_change =
      std::move(*message.mutable_reason_for_change());
  submission.answers_json = std::move(*message.mutable_answers_json());
  return submission;
}

absl::StatusOr<StoredReceipt> FromMessage(const v1::StoredReceipt& message) {
  StoredReceipt receipt;
  if (message.sequence() <= 0) return Malformed("sequence is not positive");
  receipt.sequence = message.sequence();
  const auto received_at = FromMessage(message.received_at());
  if (!message.has_received_at() || !received_at) {
    return Malformed("received_at is not a time");
  }
  receipt.received_at = *received_at;
  if (!ReadDigest(message.content_sha256(), &receipt.content_sha256)) {
    return Malformed("content_sha256 is not a SHA-256");
  }
  return receipt;
}

}  // namespace sluice
