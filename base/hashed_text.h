// Text that is hashed so that nobody outside can prepare collisions.

#ifndef SLUICE_BASE_HASHED_TEXT_H_
#define SLUICE_BASE_HASHED_TEXT_H_

#include <string_view>

#include "absl/strings/string_view.h"

namespace sluice {

// To be given to absl::HashOf, which hashes Abseil's own views with a seed of
// the process. Where those are not the standard's, as in Debian's package, it
// leaves a std::string_view to std::hash, which has no seed.
inline absl::string_view HashedText(std::string_view text) {
  return {text.data(), text.size()};
}

}  // namespace sluice

#endif  // SLUICE_BASE_HASHED_TEXT_H_
