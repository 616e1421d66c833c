#include "tests/fakes/patience.h"

#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "gtest/gtest.h"

namespace sluice {

void AwaitThat(std::string_view what, const std::function<bool()>& condition) {
  const absl::Time until = absl::Now() + kPatience;
  absl::Notification never;
  while (!condition()) {
    ASSERT_LT(absl::Now(), until) << "waited in vain until " << what;
    never.WaitForNotificationWithTimeout(absl::Milliseconds(1));
  }
}

}  // namespace sluice
