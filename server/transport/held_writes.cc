#include "server/transport/held_writes.h"

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
  if (known_ == nullptr) return;
  const std::optional<int> fd = known_->Find(peer);
  if (!fd) return;
  if (writes_ == kWritesMax) LetGo();
  ++writes_;
  if (std::ranges::find(sockets_, *fd) != sockets_.end()) return;
  if (corks_) SetCork(*fd, 1);
  sockets_.push_back(*fd);
}

void HeldWrites::LetGo() {
  if (corks_) {
    for (const int fd : sockets_) SetCork(fd, 0);
  }
  sockets_judged_ += sockets_.size();
  writes_judged_ += writes_;
  sockets_.clear();
  writes_ = 0;
  if (writes_judged_ >= kWritesEnough) Judge();
}

void HeldWrites::Judge() {
  corks_ = static_cast<double>(writes_judged_) >=
           kWritesToCork * static_cast<double>(sockets_judged_);
  sockets_judged_ = 0;
  writes_judged_ = 0;
}

bool HeldWrites::Next(grpc::CompletionQueue* queue, void** tag, bool* ok) {
  if (writes_ >= kWritesEnough) LetGo();
  if (!sockets_.empty()) {
    constexpr std::chrono::system_clock::time_point kPast;
    if (queue->AsyncNext(tag, ok, kPast) == grpc::CompletionQueue::GOT_EVENT) {
      return true;
    }
    LetGo();
  }
  return queue->Next(tag, ok);
}

}  // namespace sluice
