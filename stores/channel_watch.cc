#include "stores/channel_watch.h"

#include <utility>

#include "absl/time/time.h"

namespace sluice {

ChannelWatch::ChannelWatch(std::shared_ptr<grpc::Channel> channel)
    : channel_(std::move(channel)) {
  absl::MutexLock lock(&mutex_);
  AwaitChange();
}

ChannelWatch::~ChannelWatch() {
  absl::MutexLock lock(&mutex_);
  // A destroyed channel reports its last change, so the queue becomes empty.
  channel_.reset();
  reports_.Shutdown();
  void* tag = nullptr;
  bool ok = false;
  while (reports_.Next(&tag, &ok)) {
  }
}

void ChannelWatch::AwaitChange() {
  channel_->NotifyOnStateChange(channel_->GetState(/*try_to_connect=*/false),
                                absl::ToChronoTime(absl::InfiniteFuture()),
                                &reports_, /*tag=*/nullptr);
}

std::uint32_t ChannelWatch::Changes() {
  absl::MutexLock lock(&mutex_);
  void* tag = nullptr;
  bool ok = false;
  // gRPC takes a time before 1970 for the infinite future.
  const auto no_wait = absl::ToChronoTime(absl::UnixEpoch());
  if (reports_.AsyncNext(&tag, &ok, no_wait) ==
      grpc::CompletionQueue::GOT_EVENT) {
    // Count every report, also of a connection that is being established. Only
    // the first change since the last call is reported, so a connection may
    // have been established and lost since.
    ++count_;
    AwaitChange();
  }
  return count_;
}

}  // namespace sluice
