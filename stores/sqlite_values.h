// Values of submissions as SQLite stores them.

#ifndef SLUICE_STORES_SQLITE_VALUES_H_
#define SLUICE_STORES_SQLITE_VALUES_H_

#include <optional>
#include <string>
#include <string_view>

#include "absl/time/time.h"
#include "stores/store.h"

namespace sluice {

// Returns the name of the kind, e.g. "patient_record".
std::string_view KindName(SubmissionKind kind);
// Returns the kind with this name, or nothing.
std::optional<SubmissionKind> ParseKind(std::string_view name);

// Formats a time to the microsecond, e.g. "2026-03-01T20:00:00.000000Z", as
// SQLite's date functions read it. The year must be from 0 to 9999.
std::string TimeText(absl::Time time);
// Formats an optional time. Returns an empty text if there is no time, or if
// the year is not from 0 to 9999.
std::string TimeText(const std::optional<absl::Time>& time);

// Returns the digest's bytes. The view is valid as long as the digest.
std::string_view DigestBlob(const Sha256Digest& digest);
// Reads a digest. Returns nothing if the blob does not have 32 bytes.
std::optional<Sha256Digest> ParseDigest(std::string_view blob);

}  // namespace sluice

#endif  // SLUICE_STORES_SQLITE_VALUES_H_
