#include "tests/crash/limits.h"

#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"

namespace sluice {

bool WaitUntil(absl::FunctionRef<bool()> condition, absl::Duration limit) {
  const absl::Time deadline = absl::Now() + limit;
  absl::Notification never;
  while (!condition()) {
    if (absl::Now() >= deadline) return false;
    never.WaitForNotificationWithTimeout(kLookPause);
  }
  return true;
}

}  // namespace sluice
