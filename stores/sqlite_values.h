// What a submission has, as values in SQLite.

#ifndef SLUICE_STORES_SQLITE_VALUES_H_
#define SLUICE_STORES_SQLITE_VALUES_H_

#include <optional>
#include <string>
#include <string_view>

#include "absl/time/time.h"
#include "stores/store.h"

namespace sluice {

// E.g. "patient_record".
std::string_view KindName(SubmissionKind kind);
// Nothing for a name that no kind has.
std::optional<SubmissionKind> ParseKind(std::string_view name);

// To the microsecond, e.g. "2026-03-01T20:00:00.000000Z", as SQLite's date
// functions read it. Of a year from 0 to 9999.
std::string TimeText(absl::Time time);
// Empty where there is none, or it is of another year.
std::string TimeText(const std::optional<absl::Time>& time);

// The digest's bytes; valid as long as the digest is.
std::string_view DigestBlob(const Sha256Digest& digest);
// Nothing where it is not 32 bytes.
std::optional<Sha256Digest> ParseDigest(std::string_view blob);

}  // namespace sluice

#endif  // SLUICE_STORES_SQLITE_VALUES_H_
