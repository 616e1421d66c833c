// A connection that carries calls, and comes back after it was lost.

#ifndef SLUICE_LOADGEN_LOAD_CONNECTION_H_
#define SLUICE_LOADGEN_LOAD_CONNECTION_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <random>

#include "absl/status/status.h"
#include "loadgen/call_set.h"
#include "loadgen/h2_connection.h"
#include "loadgen/load_options.h"
#include "loadgen/tally.h"
#include "loadgen/workload.h"

namespace sluice {

// Registers itself with epoll, level-triggered, its own address as the data.
// Not thread-safe.
class LoadConnection {
 public:
  // All but `epoll_fd`, which stays the caller's, outlive this.
  LoadConnection(const LoadOptions& options, const H2Target& target,
                 Workload& workload, Tally& tally, int epoll_fd);

  // Begins to connect.
  void Connect(LoadClock::time_point now);

  // Whether calls can be sent.
  bool ready() const { return h2_ != nullptr && h2_->ready(); }
  // The loss that has not been repaired yet; OK where there is none.
  const absl::Status& loss() const { return loss_; }
  // When to Connect again; nothing where there is no need.
  std::optional<LoadClock::time_point> reconnect_at() const;

  std::size_t in_flight() const { return calls_ ? calls_->in_flight() : 0; }
  bool idle() const { return calls_ == nullptr || calls_->idle(); }

  // False where nothing was sent: the connection is not ready.
  bool Send(LoadClock::time_point intended_start, LoadClock::time_point now,
            const LoadSender& sender);
  // Gives up the calls whose deadline has passed, and writes that.
  void Expire(LoadClock::time_point now);
  void Abandon(double share, std::mt19937_64& random,
               LoadClock::time_point now);
  void NoMoreSends();

  // Takes in what has come, ends calls.
  void Read();
  // Hands what was sent to the socket.
  void Write();

  std::int64_t bytes_sent() const;
  std::int64_t bytes_received() const;

 private:
  void Lose(const absl::Status& why);
  void Watch(bool writable);

  const LoadOptions& options_;
  const H2Target& target_;
  Workload& workload_;
  Tally& tally_;
  const int epoll_fd_;

  // The calls refer to the connection, and must be the first to go.
  std::unique_ptr<H2Connection> h2_;
  std::unique_ptr<CallSet> calls_;
  bool watches_writable_ = false;

  absl::Status loss_;
  LoadClock::duration retry_delay_;
  LoadClock::time_point retry_at_;
  std::int64_t bytes_sent_before_ = 0;  // by connections that were lost
  std::int64_t bytes_received_before_ = 0;
};

}  // namespace sluice

#endif  // SLUICE_LOADGEN_LOAD_CONNECTION_H_
