// A connection that carries calls and reconnects after a loss.

#ifndef SLUICE_LOADGEN_INTERNAL_LOAD_CONNECTION_H_
#define SLUICE_LOADGEN_INTERNAL_LOAD_CONNECTION_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <random>

#include "absl/status/status.h"
#include "loadgen/internal/call_set.h"
#include "loadgen/internal/h2_connection.h"
#include "loadgen/internal/tally.h"
#include "loadgen/internal/workload.h"
#include "loadgen/loadgen.h"

namespace sluice {

// Returns the deadline of each call; Duration::max() means no deadline.
Duration DeadlineOf(const LoadOptions& options);

// Registers itself with epoll, level-triggered, with its own address as the
// event's data. Not thread-safe.
class LoadConnection {
 public:
  // All references must outlive this object. The caller keeps `epoll_fd`.
  LoadConnection(const LoadOptions& options, const H2Target& target,
                 Workload& workload, Tally& tally, int epoll_fd);

  // Starts to connect. There must be no connection.
  void Connect(TimePoint now);

  // True if calls can be sent.
  bool ready() const { return h2_ != nullptr && h2_->ready(); }
  // Returns the reason why the last connection was lost; OK once there is a new
  // connection.
  const absl::Status& loss() const { return loss_; }
  // Returns the time when Connect must be called again. Empty if there is a
  // connection.
  std::optional<TimePoint> reconnect_at() const;

  std::size_t in_flight() const { return calls_ ? calls_->in_flight() : 0; }
  bool idle() const { return calls_ == nullptr || calls_->idle(); }

  // Sends one request. Returns false if the connection is not ready.
  bool Send(TimePoint intended_start, TimePoint now, const LoadSender& sender);
  // Cancels the calls whose deadline has passed, and writes the resets.
  void Expire(TimePoint now);
  void Abandon(double share, std::mt19937_64& random, TimePoint now);
  void NoMoreSends();

  // Reads from the socket and ends answered calls.
  void Read();
  // Writes pending requests to the socket.
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

  // `calls_` refers to `h2_` and is destroyed first.
  std::unique_ptr<H2Connection> h2_;
  std::unique_ptr<CallSet> calls_;
  bool watches_writable_ = false;

  absl::Status loss_;
  Duration retry_delay_;
  TimePoint retry_at_;
  std::int64_t bytes_sent_before_ = 0;  // bytes sent on lost connections
  std::int64_t bytes_received_before_ = 0;
};

}  // namespace sluice

#endif  // SLUICE_LOADGEN_INTERNAL_LOAD_CONNECTION_H_
