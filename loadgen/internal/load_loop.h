// The load generator's event loop: one thread, one epoll. To read the
// internals, start here.

#ifndef SLUICE_LOADGEN_INTERNAL_LOAD_LOOP_H_
#define SLUICE_LOADGEN_INTERNAL_LOAD_LOOP_H_

#include <atomic>
#include <cstddef>
#include <deque>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "base/progress_bar.h"
#include "base/time.h"
#include "loadgen/internal/arrival_schedule.h"
#include "loadgen/internal/h2_connection.h"
#include "loadgen/internal/load_connection.h"
#include "loadgen/internal/tally.h"
#include "loadgen/internal/workload.h"
#include "loadgen/loadgen.h"

namespace sluice {

// Not thread-safe.
class LoadLoop {
 public:
  // All arguments must outlive this object.
  LoadLoop(const LoadOptions& options, const H2Target& target,
           ProgressBar& progress, const std::atomic<bool>& stop);
  ~LoadLoop();

  LoadLoop(const LoadLoop&) = delete;
  LoadLoop& operator=(const LoadLoop&) = delete;

  // Makes all connections. Returns UNAVAILABLE if a connection fails or is not
  // ready after 10 s.
  absl::Status Connect();

  // Runs the load once. Connect() must have succeeded. The warm-up and the
  // schedule of an open loop begin at `start`. Calls that were due before now
  // are sent at once, late.
  LoadResult Run(TimePoint start);

 private:
  void Begin(TimePoint start);
  bool MaySend() const;
  // Closed loop: sends on each active connection until it has `outstanding`
  // calls in flight.
  void FillUp(TimePoint now);
  // Open loop: sends all calls that are due.
  void SendDue(TimePoint now);
  // Returns the next connection, in turn, that may start another call, or null.
  LoadConnection* NextWithRoom();
  void StopSending(TimePoint now);
  bool AllIdle() const;

  void ExpireCalls(TimePoint now);
  void Reconnect(TimePoint now);
  void ShowProgress(TimePoint now);

  // Marks a connection to be filled up and written in this turn of the loop.
  void Activate(LoadConnection& connection);
  void WriteActive();
  // Waits for socket events until `until` at the latest, and reads.
  void Poll(TimePoint until);
  TimePoint NextEvent(TimePoint now) const;

  const LoadOptions& options_;
  const H2Target& target_;
  ProgressBar& progress_;
  const std::atomic<bool>& stop_;
  const int epoll_fd_;

  Workload workload_;
  Tally tally_;
  std::unique_ptr<ArrivalSchedule> schedule_;  // null in a closed loop
  std::deque<LoadConnection> connections_;
  std::size_t next_connection_ = 0;
  // Connections with events since their last write. May name a connection
  // twice.
  std::vector<LoadConnection*> active_;

  TimePoint began_;
  bool sending_ = true;
  TimePoint grace_end_;
  TimePoint next_expiry_;
  TimePoint next_progress_;
};

}  // namespace sluice

#endif  // SLUICE_LOADGEN_INTERNAL_LOAD_LOOP_H_
