// Finds the socket of a connection by gRPC's name of its peer.

#ifndef SLUICE_SERVER_TRANSPORT_PEER_SOCKETS_H_
#define SLUICE_SERVER_TRANSPORT_PEER_SOCKETS_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <optional>
#include <string_view>

namespace sluice {

// Knows each socket by the port of its peer. The result may be wrong: if two
// machines use the same port, the later connection is found, and a closed
// socket is found until another connection has its port. So use a result only
// for operations that do no harm to another file, such as setting a TCP option.
// Thread-safe.
class PeerSockets {
 public:
  // `fd` is a connected socket. A socket without a port is skipped.
  void Add(int fd);

  // `peer` is as gRPC writes it, with the port last: "ipv4:127.0.0.1:50000".
  // Returns nullopt if no connection had that port.
  std::optional<int> Find(std::string_view peer) const;

 private:
  static constexpr std::size_t kPorts = std::size_t{1} << 16;

  // Descriptor plus one, by port; 0: no connection.
  std::array<std::atomic<int>, kPorts> by_port_{};
};

}  // namespace sluice

#endif  // SLUICE_SERVER_TRANSPORT_PEER_SOCKETS_H_
