// Bounds the number of lines that a repeated event writes to the log. A disk
// that is full fails hundreds of commits a second, and the log may be on the
// same disk.

#ifndef SLUICE_BASE_LOG_PACE_H_
#define SLUICE_BASE_LOG_PACE_H_

#include <chrono>
#include <cstddef>
#include <optional>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "base/time.h"

namespace sluice {

// Thread-safe.
class LogPace {
 public:
  static constexpr Duration kInterval = std::chrono::seconds(1);

  // Counts an event. Returns the number of events to report now, this event
  // included, or 0 if the last report is less than kInterval ago. Events after
  // the last report are reported with the next event, which may come much
  // later.
  std::size_t Count(TimePoint now) {
    absl::MutexLock lock(&mutex_);
    ++unreported_;
    if (reported_at_.has_value() && now - *reported_at_ < kInterval) return 0;
    reported_at_ = now;
    return std::exchange(unreported_, 0);
  }

 private:
  absl::Mutex mutex_;  // held for a moment only
  std::size_t unreported_ ABSL_GUARDED_BY(mutex_) = 0;
  std::optional<TimePoint> reported_at_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace sluice

#endif  // SLUICE_BASE_LOG_PACE_H_
