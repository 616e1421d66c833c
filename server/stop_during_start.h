// Ends the process at a stop signal while the server starts. A start may take
// long: a store is migrated, a journal is checked, or a database does not
// answer. No call has been answered yet, so nothing needs a drain. Everything
// that the start writes survives a kill at any moment.

#ifndef SLUICE_SERVER_STOP_DURING_START_H_
#define SLUICE_SERVER_STOP_DURING_START_H_

#include <signal.h>

#include <atomic>
#include <thread>

namespace sluice {

// Not thread-safe.
class StopDuringStart {
 public:
  // Waits for `signals` in a thread. The signals must be blocked in all
  // threads. The first signal ends the process with exit code 0.
  explicit StopDuringStart(const sigset_t& signals);
  StopDuringStart(const StopDuringStart&) = delete;
  StopDuringStart& operator=(const StopDuringStart&) = delete;
  ~StopDuringStart() { End(); }

  // Leaves later signals to the caller. Must be called before the first call is
  // answered. May be called again.
  void End();

 private:
  const sigset_t signals_;
  std::atomic<bool> ended_{false};
  std::thread thread_;
};

}  // namespace sluice

#endif  // SLUICE_SERVER_STOP_DURING_START_H_
