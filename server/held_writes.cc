#include "server/held_writes.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <chrono>

namespace sluice {
namespace {

// Fails for what is closed by now, which does not matter.
void SetCork(int fd, int on) {
  setsockopt(fd, IPPROTO_TCP, TCP_CORK, &on, sizeof(on));
}

}  // namespace

void HeldWrites::Hold(std::string_view peer) {
  if (sockets_ == nullptr) return;
  const std::optional<int> fd = sockets_->Find(peer);
  if (!fd) return;
  if (writes_ == kWritesMax) LetGo();
  ++writes_;
  if (std::ranges::find(corked_, *fd) != corked_.end()) return;
  SetCork(*fd, 1);
  corked_.push_back(*fd);
}

void HeldWrites::LetGo() {
  for (const int fd : corked_) SetCork(fd, 0);
  corked_.clear();
  writes_ = 0;
}

bool HeldWrites::Next(grpc::CompletionQueue* queue, void** tag, bool* ok) {
  if (writes_ >= kWritesEnough) LetGo();
  if (!empty()) {
    constexpr std::chrono::system_clock::time_point kPast;
    if (queue->AsyncNext(tag, ok, kPast) == grpc::CompletionQueue::GOT_EVENT) {
      return true;
    }
    LetGo();
  }
  return queue->Next(tag, ok);
}

}  // namespace sluice
