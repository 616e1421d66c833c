// The longest time that a test waits for an event.

#ifndef SLUICE_TESTS_FAKES_PATIENCE_H_
#define SLUICE_TESTS_FAKES_PATIENCE_H_

#include <functional>
#include <string_view>

#include "absl/time/time.h"

namespace sluice {

// Generous, so that a slow machine or a sanitizer does not fail a test.
inline constexpr absl::Duration kPatience = absl::Seconds(60);

// Waits until `condition` is true. After kPatience, fails the test with `what`.
void AwaitThat(std::string_view what, const std::function<bool()>& condition);

}  // namespace sluice

#endif  // SLUICE_TESTS_FAKES_PATIENCE_H_
