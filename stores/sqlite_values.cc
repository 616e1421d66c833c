#include "stores/sqlite_values.h"

#include <algorithm>

namespace sluice {

std::string_view KindName(SubmissionKind kind) {
  switch (kind) {
    case SubmissionKind::kQuestionnaireResponse:
      return "questionnaire_response";
    case SubmissionKind::kPatientRecord:
      return "patient_record";
    case SubmissionKind::kAppEvent:
      return "app_event";
  }
  return "";
}

std::optional<SubmissionKind> ParseKind(std::string_view name) {
  for (const SubmissionKind kind :
       {SubmissionKind::kQuestionnaireResponse, SubmissionKind::kPatientRecord,
        SubmissionKind::kAppEvent}) {
    if (KindName(kind) == name) return kind;
  }
  return std::nullopt;
}

std::string_view DigestBlob(const Sha256Digest& digest) {
  return {reinterpret_cast<const char*>(digest.data()), digest.size()};
}

std::optional<Sha256Digest> ParseDigest(std::string_view blob) {
  Sha256Digest digest;
  if (blob.size() != digest.size()) return std::nullopt;
  std::ranges::copy(blob, digest.begin());
  return digest;
}

}  // namespace sluice
