// The sequence numbers that this server has reserved in the store
// (stores/server_registry.h).
//
// A submission that is acknowledged from a journal needs a reserved number. If
// the journal is lost, a server without it continues after the reserved
// numbers, so that no number that a caller was told is assigned twice.
//
// Numbers are reserved in blocks, ahead of their use. When half of a block is
// used, a thread reserves more. If the store cannot be reached for so long that
// the block is used up, no submission is acknowledged from a journal until the
// store can be reached.

#ifndef SLUICE_SERVER_SUBMISSIONS_NUMBER_RESERVE_H_
#define SLUICE_SERVER_SUBMISSIONS_NUMBER_RESERVE_H_

#include <atomic>
#include <chrono>
#include <cstdint>
#include <limits>
#include <memory>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "base/clock.h"
#include "stores/server_registry.h"

namespace sluice {

// Thread-safe.
class NumberReserve {
 public:
  // Number of sequence numbers that are reserved at a time.
  static constexpr std::int64_t kBlock = std::int64_t{1} << 20;
  // Delay until the next try after the store failed to reserve a block.
  static constexpr Duration kTryAgainAfter = std::chrono::seconds(1);

  // A reserve of all numbers, for a server without journals or a store without
  // a registry.
  NumberReserve() = default;
  // Reserves the first block after `*last`, the number that was assigned last,
  // unless half a block is reserved already, and starts the thread. If the
  // store cannot be written, the thread tries again. Returns an error if the
  // store cannot be read. All arguments must outlive the reserve.
  static absl::StatusOr<std::unique_ptr<NumberReserve>> Start(
      ServerRegistry* registry, const std::atomic<std::int64_t>* last,
      Clock* clock);
  NumberReserve(const NumberReserve&) = delete;
  NumberReserve& operator=(const NumberReserve&) = delete;
  // Calls Join.
  ~NumberReserve();

  // True if no reserved number is left. Does not block. If more numbers should
  // be reserved, wakes the thread.
  bool used_up();
  // True if the number is reserved. Does not block. If more numbers should be
  // reserved, wakes the thread.
  bool Covers(std::int64_t sequence);

  // Reserves no more numbers from now on.
  void Close();
  // Waits until no call of the registry is in progress, at most until
  // `deadline`. Returns false if a call is still in progress. Close must have
  // been called.
  bool AwaitIdle(TimePoint deadline);
  // Closes the reserve, and joins the thread.
  void Join();

 private:
  NumberReserve(ServerRegistry* registry, const std::atomic<std::int64_t>* last,
                Clock* clock, std::int64_t reserved);

  void Run();
  // True if half of a block is used.
  bool NeedsMore() const {
    return reserved_.load(std::memory_order_relaxed) -
               last_->load(std::memory_order_relaxed) <
           kBlock / 2;
  }
  void WakeIfNeeded();

  ServerRegistry* const registry_ = nullptr;
  const std::atomic<std::int64_t>* const last_ = nullptr;
  Clock* const clock_ = nullptr;

  // The highest reserved number.
  std::atomic<std::int64_t> reserved_{std::numeric_limits<std::int64_t>::max()};
  // True once the thread was woken for the next block.
  std::atomic<bool> woken_{false};

  // Held briefly, never over I/O.
  absl::Mutex mutex_;
  absl::CondVar changed_;
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
  // True while the thread calls the registry.
  bool reserving_ ABSL_GUARDED_BY(mutex_) = false;

  std::thread thread_;
};

}  // namespace sluice

#endif  // SLUICE_SERVER_SUBMISSIONS_NUMBER_RESERVE_H_
