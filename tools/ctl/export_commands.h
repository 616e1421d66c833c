// The commands `sluicectl export` and `sluicectl quarantine export`.

#ifndef SLUICE_TOOLS_CTL_EXPORT_COMMANDS_H_
#define SLUICE_TOOLS_CTL_EXPORT_COMMANDS_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace sluice {

// Each function returns the exit code, or INVALID_ARGUMENT on bad usage.
absl::StatusOr<int> RunExport(const std::vector<std::string>& none);
// Exports the entry with the sequence number `one.front()`, or all entries if
// `one` is empty.
absl::StatusOr<int> RunQuarantineExport(const std::vector<std::string>& one);

}  // namespace sluice

#endif  // SLUICE_TOOLS_CTL_EXPORT_COMMANDS_H_
