#include "server/transport/listening_sockets.h"

#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <memory>
#include <optional>
#include <system_error>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace sluice {
namespace {

using Addresses = std::unique_ptr<addrinfo, decltype(&freeaddrinfo)>;

struct HostAndPort {
  std::string host;
  std::string port;
};

std::optional<HostAndPort> Split(const std::string& address) {
  const std::size_t colon = address.rfind(':');
  if (colon == std::string::npos) return std::nullopt;
  HostAndPort split = {address.substr(0, colon), address.substr(colon + 1)};
  std::uint32_t port = 0;
  if (!absl::SimpleAtoi(split.port, &port) || port > 65535) return std::nullopt;
  if (split.host.starts_with('[') && split.host.ends_with(']')) {
    split.host = split.host.substr(1, split.host.size() - 2);
  }
  return split;
}

absl::Status CannotListen(const std::string& address,
                          const std::string& reason) {
  return absl::UnavailableError(
      absl::StrCat("cannot listen on ", address, ": ", reason));
}

std::string ErrorText(int error) {
  return std::generic_category().message(error);
}

// Returns the port field of `address`, in network byte order.
std::uint16_t& PortOf(sockaddr* address) {
  return address->sa_family == AF_INET6
             ? reinterpret_cast<sockaddr_in6*>(address)->sin6_port
             : reinterpret_cast<sockaddr_in*>(address)->sin_port;
}

int BoundPort(int fd) {
  sockaddr_storage address{};
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  socklen_t size = sizeof(address);
  if (getsockname(fd, generic, &size) != 0) return 0;
  return ntohs(PortOf(generic));
}

void Set(int fd, int level, int option, int value) {
  setsockopt(fd, level, option, &value, sizeof(value));
}

// Returns the socket, or -1 with errno set.
int OpenOne(const addrinfo& address) {
  const int fd = socket(address.ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  // Lets a restarted server listen while connections of the previous run are in
  // TIME_WAIT. A second server on the same port still fails.
  Set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
  if (address.ai_family == AF_INET6) Set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 0);
  if (bind(fd, address.ai_addr, address.ai_addrlen) == 0 &&
      listen(fd, SOMAXCONN) == 0) {
    return fd;
  }
  const int error = errno;
  close(fd);
  errno = error;
  return -1;
}

}  // namespace

absl::StatusOr<ListeningSockets> ListeningSockets::Open(
    const std::string& address) {
  const auto parts = Split(address);
  if (!parts.has_value()) return CannotListen(address, "is not host:port");
  addrinfo hints{};
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (const int error = getaddrinfo(parts->host.c_str(), parts->port.c_str(),
                                    &hints, &found)) {
    return CannotListen(address, gai_strerror(error));
  }
  const Addresses addresses(found, &freeaddrinfo);

  ListeningSockets sockets;
  int error = 0;
  for (addrinfo* one = found; one != nullptr; one = one->ai_next) {
    if (sockets.port_ != 0) {
      PortOf(one->ai_addr) = htons(static_cast<std::uint16_t>(sockets.port_));
    }
    const int fd = OpenOne(*one);
    if (fd >= 0) {
      sockets.fds_.push_back(fd);
      sockets.port_ = BoundPort(fd);
      continue;
    }
    error = errno;
    // Skip an address that the machine does not have. Report an address in use:
    // callers would reach another program there.
    if (error == EADDRINUSE) return CannotListen(address, ErrorText(error));
  }
  if (sockets.fds_.empty()) return CannotListen(address, ErrorText(error));
  return sockets;
}

ListeningSockets::~ListeningSockets() {
  for (const int fd : fds_) close(fd);
}

}  // namespace sluice
