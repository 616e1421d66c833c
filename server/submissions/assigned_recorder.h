// Records assigned sequence numbers in the store (Store::RecordAssigned) on its
// own thread. A journal may be on another disk than the store, so its answers
// must not wait for the store's disk.
//
// The thread records the highest number only, so it catches up with one write
// however many numbers were assigned meanwhile.

#ifndef SLUICE_SERVER_SUBMISSIONS_ASSIGNED_RECORDER_H_
#define SLUICE_SERVER_SUBMISSIONS_ASSIGNED_RECORDER_H_

#include <cstdint>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "base/clock.h"
#include "stores/store.h"

namespace sluice {

// Thread-safe.
class AssignedRecorder {
 public:
  // Starts the thread. All arguments must outlive the recorder.
  AssignedRecorder(Store* store, Clock* clock);
  AssignedRecorder(const AssignedRecorder&) = delete;
  AssignedRecorder& operator=(const AssignedRecorder&) = delete;
  // Calls Join.
  ~AssignedRecorder();

  // Records that the numbers up to `sequence` were assigned, soon. Does not
  // block. Must not be called after Join.
  void Record(std::int64_t sequence);

  // Waits until the store has all numbers, at most until `deadline`. Returns
  // false if a call of the store is still in progress.
  bool AwaitIdle(TimePoint deadline);
  // Records the last number, and joins the thread. May be called again.
  void Join();

 private:
  void Run();

  Store* const store_;
  Clock* const clock_;

  // Held briefly, never over I/O.
  absl::Mutex mutex_;
  absl::CondVar changed_;
  // The highest assigned number, and the highest number that the store has.
  std::int64_t assigned_ ABSL_GUARDED_BY(mutex_) = 0;
  std::int64_t recorded_ ABSL_GUARDED_BY(mutex_) = 0;
  bool joining_ ABSL_GUARDED_BY(mutex_) = false;

  std::thread thread_;
};

}  // namespace sluice

#endif  // SLUICE_SERVER_SUBMISSIONS_ASSIGNED_RECORDER_H_
