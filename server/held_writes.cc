#include "server/held_writes.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>

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

}  // namespace sluice
