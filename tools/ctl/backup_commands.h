// The command `sluicectl backup`.

#ifndef SLUICE_TOOLS_CTL_BACKUP_COMMANDS_H_
#define SLUICE_TOOLS_CTL_BACKUP_COMMANDS_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "sluice/v1/admin.pb.h"

namespace sluice {

// Makes a backup with the name `one.front()`. Returns the exit code, or
// INVALID_ARGUMENT on bad usage.
absl::StatusOr<int> RunBackup(const std::vector<std::string>& one);

// Returns the result of a backup for people: the directory, and a line for each
// file.
std::string BackupText(const v1::BackupResponse& response);
// Returns the result as one line of JSON.
std::string BackupJsonLine(const v1::BackupResponse& response);

}  // namespace sluice

#endif  // SLUICE_TOOLS_CTL_BACKUP_COMMANDS_H_
