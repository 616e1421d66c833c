// The id under which a file is submitted.

#ifndef SLUICE_TOOLS_CTL_SUBMISSION_ID_H_
#define SLUICE_TOOLS_CTL_SUBMISSION_ID_H_

#include <string>

#include "absl/strings/string_view.h"

namespace sluice {

// The resource's own id where that is a UUID. Otherwise a name-based UUID
// (version 5): of the study and the resource's id, or of the study and the
// file's bytes where the resource has none. So the same response sent again has
// the same id, and the server recognises it.
std::string SubmissionId(absl::string_view study_id,
                         absl::string_view resource_id,
                         absl::string_view file_bytes);

}  // namespace sluice

#endif  // SLUICE_TOOLS_CTL_SUBMISSION_ID_H_
