// Reads and writes whole files.

#ifndef SLUICE_BASE_FILES_H_
#define SLUICE_BASE_FILES_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace sluice {

// Returns the content of a file. INVALID_ARGUMENT if the file cannot be read,
// because the path came from the user.
absl::StatusOr<std::string> ReadFile(const std::string& path);

// Replaces the content of a file. Returns UNAVAILABLE if it cannot be written.
absl::Status WriteFile(const std::string& path, const std::string& text);

}  // namespace sluice

#endif  // SLUICE_BASE_FILES_H_
