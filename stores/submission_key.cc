#include "stores/submission_key.h"

#include "absl/hash/hash.h"
#include "base/hashed_text.h"

namespace sluice {

SubmissionKey SubmissionKey::Of(SubmissionKind kind, std::string_view study_id,
                                std::string_view submission_id) {
  const absl::string_view study = HashedText(study_id);
  const absl::string_view id = HashedText(submission_id);
  return {{absl::HashOf(kind, study, id), absl::HashOf(id, study, kind)}};
}

}  // namespace sluice
