// The loop of the load generator: one thread, one epoll. Start here.

#ifndef SLUICE_LOADGEN_LOAD_GENERATOR_H_
#define SLUICE_LOADGEN_LOAD_GENERATOR_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/progress_bar.h"
#include "loadgen/load_connection.h"
#include "loadgen/load_options.h"
#include "loadgen/metrics_scraper.h"
#include "loadgen/pacing.h"
#include "loadgen/tally.h"
#include "loadgen/workload.h"

namespace sluice {

struct LoadResult {
  Tally tally;
  LoadClock::time_point end;
  // On the sockets, in the whole run.
  std::int64_t bytes_sent = 0;
  std::int64_t bytes_received = 0;
  // What the server's metrics said meanwhile, if they were asked.
  std::vector<PoolSample> samples = {};

  // The server answered none of the calls, because it could not be reached.
  bool unreachable() const {
    return tally.connections_lost() > 0 && tally.ended() == tally.lost_calls();
  }
};

// Runs a load to its end, or until `stop`. `options` must be valid. UNAVAILABLE
// where the first connections cannot be made.
absl::StatusOr<LoadResult> RunLoad(const LoadOptions& options,
                                   ProgressBar& progress,
                                   const std::atomic<bool>& stop);

// Not thread-safe.
class LoadGenerator {
 public:
  // All of them outlive this.
  LoadGenerator(const LoadOptions& options, const H2Target& target,
                ProgressBar& progress, const std::atomic<bool>& stop);
  ~LoadGenerator();

  LoadGenerator(const LoadGenerator&) = delete;
  LoadGenerator& operator=(const LoadGenerator&) = delete;

  // Makes all connections. UNAVAILABLE where one fails, or takes too long.
  absl::Status Connect();

  // After Connect. The warm-up, and an open loop's schedule, count from
  // `start`; what was due before now is sent at once, late.
  LoadResult Run(LoadClock::time_point start);

 private:
  void Begin(LoadClock::time_point start);
  bool MaySend() const;
  // Closed loop: every active connection up to its number of calls.
  void FillUp(LoadClock::time_point now);
  // Open loop: all calls whose time has come.
  void SendDue(LoadClock::time_point now);
  LoadConnection* NextWithRoom();
  void StopSending(LoadClock::time_point now);
  bool AllIdle() const;

  void ExpireCalls(LoadClock::time_point now);
  void Reconnect(LoadClock::time_point now);
  void ShowProgress(LoadClock::time_point now);

  void Activate(LoadConnection& connection);
  void WriteActive();
  // Waits for the sockets, at most until `until`, and reads from them.
  void Poll(LoadClock::time_point until);
  LoadClock::time_point NextEvent(LoadClock::time_point now) const;

  const LoadOptions& options_;
  const H2Target& target_;
  ProgressBar& progress_;
  const std::atomic<bool>& stop_;
  const int epoll_fd_;

  Workload workload_;
  Tally tally_;
  std::unique_ptr<ArrivalSchedule> schedule_;  // of an open loop; else null
  std::deque<LoadConnection> connections_;
  std::size_t next_connection_ = 0;
  // Those that something has happened to since they were last written.
  std::vector<LoadConnection*> active_;

  LoadClock::time_point began_;
  bool sending_ = true;
  LoadClock::time_point grace_end_;
  LoadClock::time_point next_expiry_;
  LoadClock::time_point next_progress_;
};

}  // namespace sluice

#endif  // SLUICE_LOADGEN_LOAD_GENERATOR_H_
