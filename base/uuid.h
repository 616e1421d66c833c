// UUIDs as RFC 9562 defines them (which replaced RFC 4122).

#ifndef SLUICE_BASE_UUID_H_
#define SLUICE_BASE_UUID_H_

#include <array>
#include <cstdint>
#include <random>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace sluice {

// A UUID in the usual form, with hyphens and lower-case digits.
using UuidText = std::array<char, 36>;

inline absl::string_view View(const UuidText& text) {
  return {text.data(), text.size()};
}

// True if `text` is a UUID of any version, in upper or lower case.
bool IsUuid(absl::string_view text);

// Returns a UUID of version 5 (SHA-1): the same name gives the same id. `space`
// is a UUID as text.
UuidText NameBasedUuid(absl::string_view space, absl::string_view name);

enum class UuidVersion {
  kRandom = 4,
  // Ids grow with time, which keeps a store's index compact.
  kTimeOrdered = 7,
};

// Generates ids for tests and load generators. The random bits come from a
// seeded generator, which is not fit for secrets. Not thread-safe.
class UuidGenerator {
 public:
  UuidGenerator(UuidVersion version, std::uint64_t seed)
      : version_(version), random_(seed) {}

  // Returns a new id. `now` is used for version 7 only. Ids of version 7 are in
  // the order of time, to about 250 ns (RFC 9562, 6.2, method 3).
  UuidText Next(absl::Time now);

 private:
  const UuidVersion version_;
  std::mt19937_64 random_;
};

}  // namespace sluice

#endif  // SLUICE_BASE_UUID_H_
