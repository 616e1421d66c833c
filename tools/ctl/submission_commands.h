// The commands `sluicectl submit` and `sluicectl receipts`.

#ifndef SLUICE_TOOLS_CTL_SUBMISSION_COMMANDS_H_
#define SLUICE_TOOLS_CTL_SUBMISSION_COMMANDS_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace sluice {

// Each function returns the exit code, or INVALID_ARGUMENT on bad usage.
absl::StatusOr<int> RunSubmit(const std::vector<std::string>& files);
absl::StatusOr<int> RunReceipts(const std::vector<std::string>& submission_ids);

}  // namespace sluice

#endif  // SLUICE_TOOLS_CTL_SUBMISSION_COMMANDS_H_
