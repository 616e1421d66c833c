// The listening sockets of a TCP address.

#ifndef SLUICE_SERVER_TRANSPORT_LISTENING_SOCKETS_H_
#define SLUICE_SERVER_TRANSPORT_LISTENING_SOCKETS_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace sluice {

// Movable; not thread-safe. The kernel keeps arriving connections until they
// are accepted. The destructor closes the sockets and the connections that were
// not accepted.
class ListeningSockets {
 public:
  // Opens the sockets of `address`, which is host:port, with an IPv6 address in
  // brackets. If a name has several addresses, each gets a socket with the same
  // port. [::] means every address of the machine, including IPv4. Port 0 means
  // any free port. UNAVAILABLE if an address is in use, or if no address can be
  // listened on.
  static absl::StatusOr<ListeningSockets> Open(const std::string& address);

  ListeningSockets(ListeningSockets&& other) noexcept = default;
  ListeningSockets& operator=(ListeningSockets&& other) = delete;
  ~ListeningSockets();

  int port() const { return port_; }
  // Returns the sockets, which are blocking.
  const std::vector<int>& fds() const { return fds_; }

 private:
  ListeningSockets() = default;

  std::vector<int> fds_;
  int port_ = 0;
};

}  // namespace sluice

#endif  // SLUICE_SERVER_TRANSPORT_LISTENING_SOCKETS_H_
