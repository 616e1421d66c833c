// Sequence numbers for submissions whose own number belongs to another
// submission in the store (Saved::Result::kSequenceTaken).

#ifndef SLUICE_SERVER_SUBMISSIONS_NEW_NUMBERS_H_
#define SLUICE_SERVER_SUBMISSIONS_NEW_NUMBERS_H_

#include <atomic>
#include <cstdint>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_set.h"
#include "absl/synchronization/mutex.h"

namespace sluice {

// Thread-safe. Does not block.
class NewNumbers {
 public:
  // `last` is the number that was assigned last, which all pools raise. It must
  // outlive this object.
  explicit NewNumbers(std::atomic<std::int64_t>* last) : last_(last) {}

  // Assigns a number, which is pending until Done.
  std::int64_t Take() {
    // Assign the number under the lock. Otherwise an export could see that the
    // number was assigned, but not that it is pending.
    absl::MutexLock lock(&mutex_);
    const std::int64_t number = 1 + last_->fetch_add(1);
    pending_.insert(number);
    return number;
  }
  // The store has a submission or a gap with this number, or the number will
  // not be used.
  void Done(std::int64_t number) {
    absl::MutexLock lock(&mutex_);
    pending_.erase(number);
  }
  std::vector<std::int64_t> Pending() const {
    absl::MutexLock lock(&mutex_);
    return {pending_.begin(), pending_.end()};
  }

 private:
  std::atomic<std::int64_t>* const last_;
  mutable absl::Mutex mutex_;
  absl::flat_hash_set<std::int64_t> pending_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace sluice

#endif  // SLUICE_SERVER_SUBMISSIONS_NEW_NUMBERS_H_
