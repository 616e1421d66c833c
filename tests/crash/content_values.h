// Parses column values of the stores.

#ifndef SLUICE_TESTS_CRASH_CONTENT_VALUES_H_
#define SLUICE_TESTS_CRASH_CONTENT_VALUES_H_

#include <string_view>

#include "absl/status/statusor.h"
#include "stores/store.h"

namespace sluice {

// Each function reads a column. DATA_LOSS if the value is malformed.
absl::StatusOr<SubmissionKind> ReadKind(std::string_view name);
absl::StatusOr<Sha256Digest> ReadDigest(std::string_view bytes);

}  // namespace sluice

#endif  // SLUICE_TESTS_CRASH_CONTENT_VALUES_H_
