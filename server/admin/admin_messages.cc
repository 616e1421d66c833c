#include "server/admin/admin_messages.h"

#include <algorithm>
#include <utility>

#include "absl/strings/escaping.h"
#include "base/utf8.h"

namespace sluice {
namespace {

v1::SubmissionKind ToKind(SubmissionKind kind) {
  switch (kind) {
    case SubmissionKind::kQuestionnaireResponse:
      return v1::QUESTIONNAIRE_RESPONSE;
    case SubmissionKind::kPatientRecord:
      return v1::PATIENT_RECORD;
    case SubmissionKind::kAppEvent:
      return v1::APP_EVENT;
  }
  return v1::SUBMISSION_KIND_UNSPECIFIED;
}

v1::SequenceGap::Reason ToReason(GapReason reason) {
  switch (reason) {
    case GapReason::kDuplicate:
      return v1::SequenceGap::DUPLICATE;
    case GapReason::kConflict:
      return v1::SequenceGap::CONFLICT;
    case GapReason::kQuarantined:
      return v1::SequenceGap::QUARANTINED;
    case GapReason::kDiscarded:
      return v1::SequenceGap::DISCARDED;
    case GapReason::kQueued:
      return v1::SequenceGap::QUEUED;
    case GapReason::kUnaccounted:
      return v1::SequenceGap::UNACCOUNTED;
    case GapReason::kOtherServer:
      return v1::SequenceGap::OTHER_SERVER;
  }
  return v1::SequenceGap::REASON_UNSPECIFIED;
}

std::string Bytes(const Sha256Digest& digest) {
  return {digest.begin(), digest.end()};
}

}  // namespace

std::string ValidText(const std::string& text) {
  return IsValidUtf8(text) ? text : absl::CHexEscape(text);
}

void SetTimestamp(absl::Time from, google::protobuf::Timestamp* to) {
  static const absl::Time kFirst =
      absl::FromCivil(absl::CivilYear(1), absl::UTCTimeZone());
  static const absl::Time kLast =
      absl::FromCivil(absl::CivilYear(10000), absl::UTCTimeZone()) -
      absl::Nanoseconds(1);
  const absl::Time time = std::clamp(from, kFirst, kLast);
  const std::int64_t seconds = absl::ToUnixSeconds(time);
  to->set_seconds(seconds);
  to->set_nanos(static_cast<std::int32_t>(
      absl::ToInt64Nanoseconds(time - absl::FromUnixSeconds(seconds))));
}

absl::Time ToTime(const google::protobuf::Timestamp& from) {
  return absl::FromUnixSeconds(from.seconds()) +
         absl::Nanoseconds(from.nanos());
}

v1::ExportedSubmission ToExported(ReceivedSubmission submission) {
  v1::ExportedSubmission exported;
  exported.set_sequence(submission.sequence);
  exported.set_kind(ToKind(submission.kind));
  exported.set_study_id(std::move(submission.study_id));
  exported.set_submission_id(std::move(submission.submission_id));
  exported.set_site_id(std::move(submission.site_id));
  SetTimestamp(submission.received_at, exported.mutable_received_at());
  if (submission.sent_at.has_value()) {
    SetTimestamp(*submission.sent_at, exported.mutable_sent_at());
  }
  exported.set_content(std::move(submission.content));
  exported.set_content_sha256(Bytes(submission.content_sha256));
  return exported;
}

v1::SequenceGap ToGap(const SequenceRange& range) {
  v1::SequenceGap gap;
  gap.set_first(range.first);
  gap.set_last(range.last);
  gap.set_reason(ToReason(range.reason));
  gap.set_first_sequence(range.first_sequence);
  return gap;
}

v1::QuarantinedSubmission ToEntry(const std::string& pool,
                                  const Quarantined& quarantined) {
  const ReceivedSubmission& submission = quarantined.submission;
  v1::QuarantinedSubmission entry;
  entry.set_pool(pool);
  entry.set_sequence(submission.sequence);
  entry.set_study_id(ValidText(submission.study_id));
  entry.set_submission_id(ValidText(submission.submission_id));
  entry.set_kind(ToKind(submission.kind));
  entry.set_method(ValidText(quarantined.method));
  entry.set_reason(ValidText(quarantined.reason));
  entry.set_tries(quarantined.tries);
  SetTimestamp(submission.received_at, entry.mutable_received_at());
  SetTimestamp(quarantined.quarantined_at, entry.mutable_quarantined_at());
  entry.set_content_sha256(Bytes(submission.content_sha256));
  entry.set_content_bytes(static_cast<std::int64_t>(submission.content.size()));
  return entry;
}

v1::DiscardedSubmission ToRecord(const std::string& pool,
                                 const Discarded& discarded) {
  v1::DiscardedSubmission record;
  record.set_number(discarded.number);
  *record.mutable_entry() = ToEntry(pool, discarded.quarantined);
  record.mutable_entry()->set_content_bytes(discarded.content_bytes);
  record.set_reason(ValidText(discarded.reason));
  record.set_by(ValidText(discarded.by));
  SetTimestamp(discarded.at, record.mutable_discarded_at());
  return record;
}

}  // namespace sluice
