// Has what is written to a connection within a moment go out together.
//
// gRPC gives each answer to the kernel by itself, and each becomes a packet
// that wakes the peer and is acknowledged: a third of what a call costs. While
// a socket is corked (TCP_CORK in tcp(7)) the kernel only gathers; once it is
// not, all goes out in as few packets as hold it.

#ifndef SLUICE_SERVER_HELD_WRITES_H_
#define SLUICE_SERVER_HELD_WRITES_H_

#include <cstddef>
#include <string_view>
#include <vector>

#include "grpcpp/completion_queue.h"
#include "server/peer_sockets.h"

namespace sluice {

// Of the thread of a completion queue. The kernel itself holds nothing for more
// than 200 ms.
class HeldWrites {
 public:
  // With null nothing is held.
  explicit HeldWrites(const PeerSockets* sockets) : sockets_(sockets) {}
  ~HeldWrites() { LetGo(); }
  HeldWrites(const HeldWrites&) = delete;
  HeldWrites& operator=(const HeldWrites&) = delete;

  // A write to `peer`, by gRPC's name for it, is about to be made. Where
  // kWritesMax are held, these go first.
  void Hold(std::string_view peer);
  void LetGo();
  bool empty() const { return corked_.empty(); }

  // As the queue's own. Lets go what is held before the thread sleeps, and what
  // is enough at any time: the callers have something to do meanwhile.
  bool Next(grpc::CompletionQueue* queue, void** tag, bool* ok);

  static constexpr std::size_t kWritesEnough = 32;
  // More would make the first wait for too long.
  static constexpr std::size_t kWritesMax = 64;

 private:
  const PeerSockets* const sockets_;
  std::vector<int> corked_;
  std::size_t writes_ = 0;
};

}  // namespace sluice

#endif  // SLUICE_SERVER_HELD_WRITES_H_
