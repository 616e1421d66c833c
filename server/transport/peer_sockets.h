// The sockets of connections, found by what gRPC calls their peers.

#ifndef SLUICE_SERVER_TRANSPORT_PEER_SOCKETS_H_
#define SLUICE_SERVER_TRANSPORT_PEER_SOCKETS_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <optional>
#include <string_view>

namespace sluice {

// Knows a socket by its peer's port. Of two machines that use the same port,
// the one that came last is found; and one that is closed is found until its
// port comes again. So what is found is fit for what harms no other file, such
// as an option of TCP. Thread-safe.
class PeerSockets {
 public:
  // A connected socket. One that has no port is passed over.
  void Add(int fd);

  // The socket of "ipv4:127.0.0.1:50000", as gRPC writes it: the port is last.
  std::optional<int> Find(std::string_view peer) const;

 private:
  static constexpr std::size_t kPorts = std::size_t{1} << 16;

  // One more than the descriptor; 0: none.
  std::array<std::atomic<int>, kPorts> by_port_{};
};

}  // namespace sluice

#endif  // SLUICE_SERVER_TRANSPORT_PEER_SOCKETS_H_
