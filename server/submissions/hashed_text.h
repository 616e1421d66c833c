// Text to hash with a seed, so that nobody outside can prepare collisions.

#ifndef SLUICE_SERVER_SUBMISSIONS_HASHED_TEXT_H_
#define SLUICE_SERVER_SUBMISSIONS_HASHED_TEXT_H_

#include <string_view>

#include "absl/strings/string_view.h"

namespace sluice {

// Returns `text` as a type that absl::HashOf hashes with the seed of the
// process. If Abseil's string_view is a type of its own, as in Debian's
// package, absl::HashOf leaves a std::string_view to std::hash, which has no
// seed.
inline absl::string_view HashedText(std::string_view text) {
  return {text.data(), text.size()};
}

}  // namespace sluice

#endif  // SLUICE_SERVER_SUBMISSIONS_HASHED_TEXT_H_
