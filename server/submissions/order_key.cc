#include "server/submissions/order_key.h"

#include <algorithm>
#include <string_view>

#include "absl/hash/hash.h"
#include "base/hashed_text.h"
#include "forms/answers.h"
#include "forms/wire_check.h"
#include "sluice/v1/ingestion.pb.h"

namespace sluice {
namespace {

std::string_view SubjectOf(const ReceivedSubmission& submission) {
  const std::string_view content = submission.content;
  switch (submission.kind) {
    case SubmissionKind::kQuestionnaireResponse: {
      const std::string_view response =
          FindLengthDelimited(content, v1::SubmitRequest::kResponseFieldNumber);
      const std::string_view subject = FindLengthDelimited(
          response, v1::QuestionnaireResponse::kSubjectFieldNumber);
      return FindLengthDelimited(subject, v1::Reference::kReferenceFieldNumber);
    }
    case SubmissionKind::kPatientRecord:
      return FindLengthDelimited(content,
                                 v1::PatientRecord::kPatientIdFieldNumber);
    case SubmissionKind::kAppEvent:
      return {};
  }
  return {};
}

}  // namespace

std::uint64_t OrderKey(const ReceivedSubmission& submission,
                       std::string_view sender_site) {
  const std::string_view subject = SubjectOf(submission);
  if (subject.empty()) return 0;
  const std::string_view site =
      submission.site_id.empty() ? sender_site : submission.site_id;
  return std::max<std::uint64_t>(
      1, absl::HashOf(HashedText(submission.study_id), HashedText(site),
                      HashedText(subject)));
}

}  // namespace sluice
