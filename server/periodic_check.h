// A check that is repeated on a thread of its own, because it may hang.

#ifndef SLUICE_SERVER_PERIODIC_CHECK_H_
#define SLUICE_SERVER_PERIODIC_CHECK_H_

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "base/clock.h"
#include "base/time.h"

namespace sluice {

// Thread-safe, except where a member says otherwise.
class PeriodicCheck {
 public:
  static constexpr Duration kPeriod = std::chrono::seconds(1);

  struct Result {
    absl::Status status;
    // Time when the check began that had this result.
    TimePoint begun_at;
  };

  // Starts the thread. `name` says what is checked. `on_result` is called on
  // the thread after each check. `clock` must outlive the object.
  PeriodicCheck(std::string name, std::function<absl::Status()> check,
                std::function<void()> on_result, Clock* clock);
  PeriodicCheck(const PeriodicCheck&) = delete;
  PeriodicCheck& operator=(const PeriodicCheck&) = delete;
  // Waits for a check in progress.
  ~PeriodicCheck();

  const std::string& name() const { return name_; }
  // Returns the result of the last complete check, or nothing before the first
  // one is complete. Does not wait for a check.
  std::optional<Result> last() const;

  // Begins no more checks. Does not wait.
  void BeginStop();
  // Waits after BeginStop until no check is in progress, at most until
  // `deadline`. Returns false if a check hangs: the object must then not be
  // destroyed.
  bool AwaitStopped(TimePoint deadline);

 private:
  void Run();

  // Constant after construction.
  const std::string name_;
  const std::function<absl::Status()> check_;
  const std::function<void()> on_result_;
  Clock* const clock_;

  mutable absl::Mutex mutex_;  // never held over a check
  absl::CondVar changed_;
  std::optional<Result> last_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;

  std::thread thread_;
};

}  // namespace sluice

#endif  // SLUICE_SERVER_PERIODIC_CHECK_H_
