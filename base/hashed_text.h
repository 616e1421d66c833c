// Hashes text with a seed, so that attackers cannot prepare collisions.

#ifndef SLUICE_BASE_HASHED_TEXT_H_
#define SLUICE_BASE_HASHED_TEXT_H_

#include <string_view>

#include "absl/strings/string_view.h"

namespace sluice {

// Returns `text` as a type that absl::HashOf hashes with the seed of the
// process. absl::string_view may be a separate type, as in Debian's package.
// absl::HashOf then hashes a std::string_view with std::hash, which has no
// seed.
inline absl::string_view HashedText(std::string_view text) {
  return {text.data(), text.size()};
}

}  // namespace sluice

#endif  // SLUICE_BASE_HASHED_TEXT_H_
