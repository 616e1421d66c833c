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

#include "server/peer_sockets.h"

namespace sluice {

// Of one thread. Whoever holds writes lets them go before it waits; the kernel
// itself holds none for more than 200 ms.
class HeldWrites {
 public:
  // With null nothing is held.
  explicit HeldWrites(const PeerSockets* sockets) : sockets_(sockets) {}
  ~HeldWrites() { LetGo(); }
  HeldWrites(const HeldWrites&) = delete;
  HeldWrites& operator=(const HeldWrites&) = delete;

  // A write to `peer`, by gRPC's name for it, is about to be made.
  void Hold(std::string_view peer);
  void LetGo();

  bool empty() const { return corked_.empty(); }
  // More would make the first wait for too long.
  bool full() const { return writes_ >= kWritesMax; }

 private:
  static constexpr std::size_t kWritesMax = 64;

  const PeerSockets* const sockets_;
  std::vector<int> corked_;
  std::size_t writes_ = 0;
};

}  // namespace sluice

#endif  // SLUICE_SERVER_HELD_WRITES_H_
