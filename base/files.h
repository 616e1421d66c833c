// Whole files.

#ifndef SLUICE_BASE_FILES_H_
#define SLUICE_BASE_FILES_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace sluice {

// INVALID_ARGUMENT where it cannot be read: the path was somebody's argument.
absl::StatusOr<std::string> ReadFile(const std::string& path);

// Replaces what is there. UNAVAILABLE where it cannot be written.
absl::Status WriteFile(const std::string& path, const std::string& text);

}  // namespace sluice

#endif  // SLUICE_BASE_FILES_H_
