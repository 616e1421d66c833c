// A processor that stores nothing. Tests can block it.

#ifndef SLUICE_TESTS_FAKES_FAKE_PROCESSOR_H_
#define SLUICE_TESTS_FAKES_FAKE_PROCESSOR_H_

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "pool/task.h"
#include "pool/worker_pool.h"
#include "tests/fakes/patience.h"

namespace sluice {

// Thread-safe.
class FakeProcessor final : public Processor {
 public:
  // Blocks all batches from now on, until they are released.
  void Hold() {
    absl::MutexLock lock(&mutex_);
    held_ = true;
  }
  // Releases the batches that are blocked. Further batches are blocked.
  void ReleaseHeld() {
    absl::MutexLock lock(&mutex_);
    ++releases_;
  }
  // Releases all batches, including later ones.
  void Release() {
    absl::MutexLock lock(&mutex_);
    held_ = false;
  }

  StoreState Process(std::span<Task* const> batch) override {
    Begin(batch);
    for (Task* task : batch) task->result = TaskResult::kStored;
    if (then) then(batch);
    return store;
  }

  // Waits until exactly `count` batches are blocked. Returns false after
  // kPatience.
  bool AwaitHeld(std::size_t count) {
    const auto reached = [this, count]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) {
      return in_work_ == count;
    };
    absl::MutexLock lock(&mutex_);
    return mutex_.AwaitWithTimeout(absl::Condition(&reached), kPatience);
  }

  // Returns the sizes of all batches, in the order in which they began.
  std::vector<std::size_t> batch_sizes() {
    absl::MutexLock lock(&mutex_);
    return batch_sizes_;
  }
  // Returns the sequence numbers of all tasks, in the order in which they
  // began.
  std::vector<std::int64_t> sequences() {
    absl::MutexLock lock(&mutex_);
    return sequences_;
  }
  // Returns the highest number of batches that were in work at one time.
  std::size_t in_work_max() {
    absl::MutexLock lock(&mutex_);
    return in_work_max_;
  }

  // Called at the end of Process, so that tests can act at this moment. May be
  // empty. Must be set before the pool is created.
  std::function<void(std::span<Task* const>)> then;
  // The state of the store that Process reports.
  std::atomic<StoreState> store{StoreState::kUp};

 private:
  void Begin(std::span<Task* const> batch) {
    absl::MutexLock lock(&mutex_);
    const int releases_before = releases_;
    const auto released = [&]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) {
      return !held_ || releases_ > releases_before;
    };
    batch_sizes_.push_back(batch.size());
    for (const Task* task : batch) sequences_.push_back(task->sequence);
    in_work_max_ = std::max(in_work_max_, ++in_work_);
    mutex_.Await(absl::Condition(&released));
    --in_work_;
  }

  absl::Mutex mutex_;
  bool held_ ABSL_GUARDED_BY(mutex_) = false;
  int releases_ ABSL_GUARDED_BY(mutex_) = 0;
  std::size_t in_work_ ABSL_GUARDED_BY(mutex_) = 0;
  std::size_t in_work_max_ ABSL_GUARDED_BY(mutex_) = 0;
  std::vector<std::size_t> batch_sizes_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::int64_t> sequences_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace sluice

#endif  // SLUICE_TESTS_FAKES_FAKE_PROCESSOR_H_
