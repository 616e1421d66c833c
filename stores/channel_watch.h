// Notices when the connection of a gRPC channel is lost.

#ifndef SLUICE_STORES_CHANNEL_WATCH_H_
#define SLUICE_STORES_CHANNEL_WATCH_H_

#include <cstdint>
#include <memory>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "grpcpp/channel.h"
#include "grpcpp/completion_queue.h"

namespace sluice {

// Needs no thread: gRPC keeps the report of a change of the channel's state
// until the next call of Changes. A connection that was lost and restored
// between two calls is therefore noticed. Thread-safe.
class ChannelWatch {
 public:
  explicit ChannelWatch(std::shared_ptr<grpc::Channel> channel);
  ChannelWatch(const ChannelWatch&) = delete;
  ChannelWatch& operator=(const ChannelWatch&) = delete;
  // Waits until the channel is destroyed. Nothing else may hold the channel.
  ~ChannelWatch();

  // Returns a number that has grown since the last call if a connection was
  // lost since then. The number also grows while a connection is being
  // established. Does not wait.
  std::uint32_t Changes();

 private:
  // Asks gRPC to report when the channel leaves its present state.
  void AwaitChange() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  absl::Mutex mutex_;  // held for a moment only
  std::shared_ptr<grpc::Channel> channel_ ABSL_GUARDED_BY(mutex_);
  grpc::CompletionQueue reports_ ABSL_GUARDED_BY(mutex_);
  std::uint32_t count_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace sluice

#endif  // SLUICE_STORES_CHANNEL_WATCH_H_
