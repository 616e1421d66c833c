#include "server/transport/peer_sockets.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include <charconv>
#include <cstdint>
#include <system_error>

namespace sluice {
namespace {

std::optional<std::size_t> PortOfPeer(int fd) {
  sockaddr_storage address{};
  socklen_t size = sizeof(address);
  auto* const any = reinterpret_cast<sockaddr*>(&address);
  if (getpeername(fd, any, &size) != 0) return std::nullopt;
  switch (address.ss_family) {
    case AF_INET:
      return ntohs(reinterpret_cast<sockaddr_in*>(&address)->sin_port);
    case AF_INET6:
      return ntohs(reinterpret_cast<sockaddr_in6*>(&address)->sin6_port);
    default:
      return std::nullopt;
  }
}

}  // namespace

void PeerSockets::Add(int fd) {
  const auto port = PortOfPeer(fd);
  if (port) by_port_[*port].store(fd + 1, std::memory_order_relaxed);
}

std::optional<int> PeerSockets::Find(std::string_view peer) const {
  const std::size_t colon = peer.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  std::uint16_t port = 0;
  const char* const end = peer.data() + peer.size();
  const auto parsed = std::from_chars(peer.data() + colon + 1, end, port);
  if (parsed.ec != std::errc() || parsed.ptr != end) return std::nullopt;
  const int found = by_port_[port].load(std::memory_order_relaxed);
  return found > 0 ? std::optional(found - 1) : std::nullopt;
}

}  // namespace sluice
