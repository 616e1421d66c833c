// How long a test waits for what must happen before it gives up on it.

#ifndef SLUICE_TESTS_FAKES_PATIENCE_H_
#define SLUICE_TESTS_FAKES_PATIENCE_H_

#include "absl/time/time.h"

namespace sluice {

// Generous: a slow machine under a sanitizer is no failure.
inline constexpr absl::Duration kPatience = absl::Seconds(60);

}  // namespace sluice

#endif  // SLUICE_TESTS_FAKES_PATIENCE_H_
