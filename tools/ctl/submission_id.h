// Derives the submission_id of a file.

#ifndef SLUICE_TOOLS_CTL_SUBMISSION_ID_H_
#define SLUICE_TOOLS_CTL_SUBMISSION_ID_H_

#include <string>

#include "absl/strings/string_view.h"

namespace sluice {

// Returns the resource's id if it is a UUID. Otherwise returns a name-based
// UUID (version 5): of the study and the resource's id, or of the study and the
// file's bytes if the resource has no id. A response that is sent again
// therefore has the same id, and the server recognizes the duplicate.
std::string SubmissionId(absl::string_view study_id,
                         absl::string_view resource_id,
                         absl::string_view file_bytes);

}  // namespace sluice

#endif  // SLUICE_TOOLS_CTL_SUBMISSION_ID_H_
