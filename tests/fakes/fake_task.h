// A task that records its notices and results.

#ifndef SLUICE_TESTS_FAKES_FAKE_TASK_H_
#define SLUICE_TESTS_FAKES_FAKE_TASK_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>

#include "absl/synchronization/mutex.h"
#include "pool/task.h"
#include "tests/fakes/patience.h"

namespace sluice {

// Is its own listener. Functions that read the records are thread-safe.
class FakeTask final : public Task, public AdmissionListener {
 public:
  struct Traits {
    std::size_t bytes = 1;
    TimePoint deadline = kForever;
    std::size_t method = 0;
    bool promised = false;
    TimePoint waits_since = kForever;
    bool needs_commit = false;
    bool droppable = false;
    std::uint64_t order_key = 0;
  };

  FakeTask() : FakeTask(Traits()) {}
  explicit FakeTask(const Traits& traits) {
    bytes = traits.bytes;
    deadline = traits.deadline;
    method = traits.method;
    promised = traits.promised;
    waits_since = traits.waits_since;
    needs_commit = traits.needs_commit;
    droppable = traits.droppable;
    order_key = traits.order_key;
    listener = this;
  }

  void OnAdmitted(std::int64_t admitted_as) override {
    if (when_told) when_told();
    absl::MutexLock lock(&mutex_);
    ++notices_;
    admitted_as_ = admitted_as;
  }

  void OnEnded(TaskResult end, Duration) override {
    if (when_told) when_told();
    absl::MutexLock lock(&mutex_);
    ++times_handed_back_;
    ending_ = end;
  }

  void OnDone() override {
    if (when_told) when_told();
    absl::MutexLock lock(&mutex_);
    ++times_handed_back_;
    done_ = result;
  }

  // Number of OnAdmitted calls, and the sequence number that the last call
  // reported.
  int notices() const {
    absl::MutexLock lock(&mutex_);
    return notices_;
  }
  std::int64_t admitted_as() const {
    absl::MutexLock lock(&mutex_);
    return admitted_as_;
  }
  // Number of OnEnded and OnDone calls.
  int times_handed_back() const {
    absl::MutexLock lock(&mutex_);
    return times_handed_back_;
  }
  // Result that the last OnEnded reported.
  std::optional<TaskResult> ending() const {
    absl::MutexLock lock(&mutex_);
    return ending_;
  }
  // Result of the task at the last OnDone.
  std::optional<TaskResult> done() const {
    absl::MutexLock lock(&mutex_);
    return done_;
  }

  // Wait for an OnAdmitted call, or for OnEnded or OnDone. Return false after
  // kPatience.
  bool AwaitNotice() const { return AwaitMoreThanZero(&notices_); }
  bool AwaitHandedBack() const {
    return AwaitMoreThanZero(&times_handed_back_);
  }

  // Called at the beginning of each notice; may be empty.
  std::function<void()> when_told;

 private:
  bool AwaitMoreThanZero(const int* count) const {
    const auto counted = [count] { return *count > 0; };
    absl::MutexLock lock(&mutex_);
    return mutex_.AwaitWithTimeout(absl::Condition(&counted), kPatience);
  }

  mutable absl::Mutex mutex_;
  int notices_ ABSL_GUARDED_BY(mutex_) = 0;
  std::int64_t admitted_as_ ABSL_GUARDED_BY(mutex_) = 0;
  int times_handed_back_ ABSL_GUARDED_BY(mutex_) = 0;
  std::optional<TaskResult> ending_ ABSL_GUARDED_BY(mutex_);
  std::optional<TaskResult> done_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace sluice

#endif  // SLUICE_TESTS_FAKES_FAKE_TASK_H_
