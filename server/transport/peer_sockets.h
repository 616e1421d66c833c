// Finds the socket of a connection by gRPC's name of the peer.

#ifndef SLUICE_SERVER_TRANSPORT_PEER_SOCKETS_H_
#define SLUICE_SERVER_TRANSPORT_PEER_SOCKETS_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <optional>
#include <string_view>

namespace sluice {

// Maps the port of each peer to its socket. The result may be wrong: if two
// machines use the same port, the later connection is found, and a closed
// socket is found until another connection has its port. Use a result only for
// operations that do not harm another file, such as setting a TCP option.
// Thread-safe.
class PeerSockets {
 public:
  // Adds a connected socket. Ignores a socket without a port.
  void Add(int fd);

  // Finds the socket of `peer`, which is in gRPC's format with the port last:
  // "ipv4:127.0.0.1:50000". Returns nullopt if no connection had that port.
  std::optional<int> Find(std::string_view peer) const;

 private:
  static constexpr std::size_t kPorts = std::size_t{1} << 16;

  // Descriptor plus one, by port; 0 if there is no connection.
  std::array<std::atomic<int>, kPorts> by_port_{};
};

}  // namespace sluice

#endif  // SLUICE_SERVER_TRANSPORT_PEER_SOCKETS_H_
