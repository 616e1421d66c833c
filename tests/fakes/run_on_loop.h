// Runs a function on the thread of a completion loop and waits for its end.

#ifndef SLUICE_TESTS_FAKES_RUN_ON_LOOP_H_
#define SLUICE_TESTS_FAKES_RUN_ON_LOOP_H_

#include <functional>
#include <memory>
#include <utility>

#include "absl/synchronization/notification.h"
#include "server/transport/completion_loop.h"

namespace sluice {

// Must not be called on the loop's thread.
inline void RunOnLoop(CompletionLoop& loop, std::function<void()> call) {
  struct Closure final : LoopTask {
    void OnLoop() override {
      // The waiting thread may destroy the closure before Notify has returned.
      const std::shared_ptr<absl::Notification> notification = done;
      call();
      notification->Notify();
    }
    std::function<void()> call;
    std::shared_ptr<absl::Notification> done;
  };
  Closure closure;
  closure.call = std::move(call);
  closure.done = std::make_shared<absl::Notification>();
  const std::shared_ptr<absl::Notification> done = closure.done;
  loop.Post(&closure);
  done->WaitForNotification();
}

}  // namespace sluice

#endif  // SLUICE_TESTS_FAKES_RUN_ON_LOOP_H_
