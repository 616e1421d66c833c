#include "server/transport/held_writes.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <chrono>

#include "base/check.h"
#include "grpc/support/time.h"
#include "grpcpp/support/time.h"

namespace sluice {
namespace {

// Sets or removes the cork. A closed socket causes an error, which is ignored.
void SetCork(int fd, int on) {
  setsockopt(fd, IPPROTO_TCP, TCP_CORK, &on, sizeof(on));
}

}  // namespace

HeldWrites::~HeldWrites() {
  // The owner destroys this object after the thread has ended.
  thread_.Detach();
  Flush();
}

void HeldWrites::Hold(std::string_view peer) {
  SLUICE_DCHECK(thread_.CalledOnOwner());
  if (known_ == nullptr) return;
  const std::optional<int> fd = known_->Find(peer);
  if (!fd) return;
  if (writes_ == kWritesMax) Flush();
  ++writes_;
  SLUICE_DCHECK_LE(writes_, kWritesMax);
  // A linear search is enough: there are at most kWritesMax sockets, mostly a
  // few.
  if (std::ranges::find(sockets_, *fd) != sockets_.end()) return;
  if (corks_) SetCork(*fd, 1);
  sockets_.push_back(*fd);
}

void HeldWrites::Flush() {
  SLUICE_DCHECK(thread_.CalledOnOwner());
  SLUICE_DCHECK_LE(sockets_.size(), writes_);
  // Uncork before UpdateCorking changes `corks_` below. Otherwise a socket
  // could stay corked.
  if (corks_) {
    for (const int fd : sockets_) SetCork(fd, 0);
  }
  flushed_sockets_ += sockets_.size();
  flushed_writes_ += writes_;
  sockets_.clear();
  writes_ = 0;
  if (flushed_writes_ >= kWritesEnough) UpdateCorking();
}

void HeldWrites::UpdateCorking() {
  corks_ = static_cast<double>(flushed_writes_) >=
           kWritesToCork * static_cast<double>(flushed_sockets_);
  flushed_sockets_ = 0;
  flushed_writes_ = 0;
}

bool HeldWrites::Next(grpc::CompletionQueue* queue, void** tag, bool* ok) {
  SLUICE_DCHECK(thread_.CalledOnOwner());
  if (writes_ >= kWritesEnough) Flush();
  if (!sockets_.empty() &&
      Poll(queue, tag, ok) == grpc::CompletionQueue::GOT_EVENT) {
    return true;
  }
  return queue->Next(tag, ok);
}

grpc::CompletionQueue::NextStatus HeldWrites::NextUntil(
    TimePoint until, grpc::CompletionQueue* queue, void** tag, bool* ok) {
  SLUICE_DCHECK(thread_.CalledOnOwner());
  const Duration left = until - std::chrono::steady_clock::now();
  if (!sockets_.empty() || left <= Duration::zero()) {
    const auto status = Poll(queue, tag, ok);
    if (status != grpc::CompletionQueue::TIMEOUT || left <= Duration::zero()) {
      return status;
    }
  }
  return queue->AsyncNext(
      tag, ok,
      gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC),
                   gpr_time_from_nanos(left.count(), GPR_TIMESPAN)));
}

grpc::CompletionQueue::NextStatus HeldWrites::Poll(grpc::CompletionQueue* queue,
                                                   void** tag, bool* ok) {
  SLUICE_DCHECK(thread_.CalledOnOwner());
  if (writes_ >= kWritesEnough) Flush();
  // With a deadline in the past, AsyncNext does not wait.
  constexpr std::chrono::system_clock::time_point kPast;
  const auto status = queue->AsyncNext(tag, ok, kPast);
  if (status != grpc::CompletionQueue::GOT_EVENT) Flush();
  return status;
}

}  // namespace sluice
