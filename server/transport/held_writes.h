// Has what is written to a connection within a moment go out together.
//
// gRPC gives each answer to the kernel by itself, and each becomes a packet
// that wakes the peer and is acknowledged: a third of what a call costs. While
// a socket is corked (TCP_CORK in tcp(7)) the kernel only gathers; once it is
// not, all goes out in as few packets as hold it.
//
// To cork a socket and to let it go are two system calls, which are worth it
// where a few writes to each are made within a moment. Whether they are, the
// last writes tell.

#ifndef SLUICE_SERVER_TRANSPORT_HELD_WRITES_H_
#define SLUICE_SERVER_TRANSPORT_HELD_WRITES_H_

#include <cstddef>
#include <string_view>
#include <vector>

#include "grpcpp/completion_queue.h"
#include "server/transport/peer_sockets.h"

namespace sluice {

// Of the thread of a completion queue. The kernel itself holds nothing for more
// than 200 ms.
class HeldWrites {
 public:
  // With null nothing is held.
  explicit HeldWrites(const PeerSockets* sockets) : known_(sockets) {}
  ~HeldWrites() { LetGo(); }
  HeldWrites(const HeldWrites&) = delete;
  HeldWrites& operator=(const HeldWrites&) = delete;

  // A write to `peer`, by gRPC's name for it, is about to be made. Where
  // kWritesMax are held, these go first.
  void Hold(std::string_view peer);
  void LetGo();
  // Whether nothing is held.
  bool empty() const { return !corks_ || sockets_.empty(); }

  // As the queue's own. Lets go what is held before the thread sleeps, and what
  // is enough at any time: the callers have something to do meanwhile.
  bool Next(grpc::CompletionQueue* queue, void** tag, bool* ok);

  static constexpr std::size_t kWritesEnough = 32;
  // More would make the first wait for too long.
  static constexpr std::size_t kWritesMax = 64;
  // Sockets are corked while the last kWritesEnough writes were, from one LetGo
  // to the next, so many to each that was written to.
  static constexpr double kWritesToCork = 1.25;

 private:
  void Judge();

  const PeerSockets* const known_;
  // Whether sockets are corked as they are written to.
  bool corks_ = true;
  // Since the last LetGo.
  std::vector<int> sockets_;
  std::size_t writes_ = 0;
  // Of those before, since it was judged.
  std::size_t sockets_judged_ = 0;
  std::size_t writes_judged_ = 0;
};

}  // namespace sluice

#endif  // SLUICE_SERVER_TRANSPORT_HELD_WRITES_H_
