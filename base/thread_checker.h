// Asserts that only one thread at a time, the owner, uses an object. Costs
// nothing if assertions are off (check.h).

#ifndef SLUICE_BASE_THREAD_CHECKER_H_
#define SLUICE_BASE_THREAD_CHECKER_H_

#include <atomic>
#include <thread>

#include "base/check.h"

namespace sluice {

// The first thread that calls CalledOnOwner is the owner until Detach.
// Thread-safe.
class ThreadChecker {
 public:
  // True on the owning thread. The first caller becomes the owner.
  bool CalledOnOwner() const {
    std::thread::id none;
    const std::thread::id self = std::this_thread::get_id();
    return owner_.compare_exchange_strong(none, self) || none == self;
  }

  // Ends the ownership: the next caller of CalledOnOwner becomes the owner.
  void Detach() { owner_.store(std::thread::id()); }

 private:
  mutable std::atomic<std::thread::id> owner_{};
};

}  // namespace sluice

#endif  // SLUICE_BASE_THREAD_CHECKER_H_
