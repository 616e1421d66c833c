// The sockets that a TCP address stands for, listening.

#ifndef SLUICE_SERVER_TRANSPORT_LISTENING_SOCKETS_H_
#define SLUICE_SERVER_TRANSPORT_LISTENING_SOCKETS_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace sluice {

// Movable; not thread-safe. Connections that come are kept by the kernel until
// they are accepted; those left over when it is destroyed are closed.
class ListeningSockets {
 public:
  // `address` is host:port, an IPv6 address in brackets. A name may stand for
  // several addresses, which are all listened on, at one port; [::] is every
  // address of the machine, IPv4 as well. Port 0 is any that is free.
  // UNAVAILABLE where an address is in use, or none can be had.
  static absl::StatusOr<ListeningSockets> Open(const std::string& address);

  ListeningSockets(ListeningSockets&& other) noexcept = default;
  ListeningSockets& operator=(ListeningSockets&& other) = delete;
  ~ListeningSockets();

  int port() const { return port_; }
  // They block.
  const std::vector<int>& fds() const { return fds_; }

 private:
  ListeningSockets() = default;

  std::vector<int> fds_;
  int port_ = 0;
};

}  // namespace sluice

#endif  // SLUICE_SERVER_TRANSPORT_LISTENING_SOCKETS_H_
