// What a submission has, as values in SQLite.

#ifndef SLUICE_STORES_SQLITE_VALUES_H_
#define SLUICE_STORES_SQLITE_VALUES_H_

#include <optional>
#include <string_view>

#include "stores/store.h"

namespace sluice {

// E.g. "patient_record".
std::string_view KindName(SubmissionKind kind);
// Nothing for a name that no kind has.
std::optional<SubmissionKind> ParseKind(std::string_view name);

// The digest's bytes; valid as long as the digest is.
std::string_view DigestBlob(const Sha256Digest& digest);
// Nothing where it is not 32 bytes.
std::optional<Sha256Digest> ParseDigest(std::string_view blob);

}  // namespace sluice

#endif  // SLUICE_STORES_SQLITE_VALUES_H_
