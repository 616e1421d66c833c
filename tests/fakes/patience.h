// How long a test waits for what must happen before it gives up on it.

#ifndef SLUICE_TESTS_FAKES_PATIENCE_H_
#define SLUICE_TESTS_FAKES_PATIENCE_H_

#include <functional>
#include <string_view>

#include "absl/time/time.h"

namespace sluice {

// Generous: a slow machine under a sanitizer is no failure.
inline constexpr absl::Duration kPatience = absl::Seconds(60);

// Waits, at most kPatience, until `condition` holds; a failure of the test
// names `what` otherwise.
void AwaitThat(std::string_view what, const std::function<bool()>& condition);

}  // namespace sluice

#endif  // SLUICE_TESTS_FAKES_PATIENCE_H_
