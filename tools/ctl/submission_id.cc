#include "tools/ctl/submission_id.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/uuid.h"

namespace sluice {
namespace {

// The namespace of these ids: a random UUID. The namespace must never change:
// files that are sent again would be stored twice.
constexpr absl::string_view kSpace = "8b0f5c1e-6a43-4d0e-9f57-2d1c8a7be604";

}  // namespace

std::string SubmissionId(absl::string_view study_id,
                         absl::string_view resource_id,
                         absl::string_view file_bytes) {
  if (IsUuid(resource_id)) return std::string(resource_id);
  // The length distinguishes "a" + "bc" from "ab" + "c".
  const std::string study = absl::StrCat(study_id.size(), ":", study_id, ":");
  const std::string name = resource_id.empty()
                               ? absl::StrCat("content:", study, file_bytes)
                               : absl::StrCat("resource:", study, resource_id);
  return std::string(View(NameBasedUuid(kSpace, name)));
}

}  // namespace sluice
