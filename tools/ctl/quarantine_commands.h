// The commands `sluicectl quarantine list`, `show`, `retry`, `discard` and
// `discarded`.

#ifndef SLUICE_TOOLS_CTL_QUARANTINE_COMMANDS_H_
#define SLUICE_TOOLS_CTL_QUARANTINE_COMMANDS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace sluice {

// Each function returns the exit code, or INVALID_ARGUMENT on bad usage.
absl::StatusOr<int> RunQuarantineList(const std::vector<std::string>& none);
// Shows one entry. `one` is a sequence number or, with --study, a
// submission_id.
absl::StatusOr<int> RunQuarantineShow(const std::vector<std::string>& one);
absl::StatusOr<int> RunQuarantineRetry(
    const std::vector<std::string>& sequences);
// Discards one entry, with --reason.
absl::StatusOr<int> RunQuarantineDiscard(const std::vector<std::string>& one);
// Lists the records of discarded entries.
absl::StatusOr<int> RunQuarantineDiscarded(
    const std::vector<std::string>& none);

// Parses a SEQUENCE. Returns INVALID_ARGUMENT if it is not a positive number.
absl::StatusOr<std::int64_t> ParseSequence(const std::string& text);

}  // namespace sluice

#endif  // SLUICE_TOOLS_CTL_QUARANTINE_COMMANDS_H_
