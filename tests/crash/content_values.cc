#include "tests/crash/content_values.h"

#include <algorithm>

#include "absl/status/status.h"

namespace sluice {

absl::StatusOr<SubmissionKind> ReadKind(std::string_view name) {
  if (name == "questionnaire_response") {
    return SubmissionKind::kQuestionnaireResponse;
  }
  if (name == "patient_record") return SubmissionKind::kPatientRecord;
  if (name == "app_event") return SubmissionKind::kAppEvent;
  return absl::DataLossError("a kind is malformed");
}

absl::StatusOr<Sha256Digest> ReadDigest(std::string_view bytes) {
  Sha256Digest digest;
  if (bytes.size() != digest.size()) {
    return absl::DataLossError("a hash is malformed");
  }
  std::ranges::copy(bytes, digest.begin());
  return digest;
}

}  // namespace sluice
