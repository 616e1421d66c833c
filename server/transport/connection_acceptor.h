// Accepts connections, up to a limit on open connections.
//
// gRPC 1.51 has no such limit. gRPC's own listener also stops for good when
// accept(2) fails for the first time, e.g. because the process is out of
// descriptors.

#ifndef SLUICE_SERVER_TRANSPORT_CONNECTION_ACCEPTOR_H_
#define SLUICE_SERVER_TRANSPORT_CONNECTION_ACCEPTOR_H_

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "base/time.h"
#include "server/transport/listening_sockets.h"
#include "server/transport/peer_sockets.h"

namespace sluice {

// Thread-safe, except Start and Stop, which must be called by one thread.
class ConnectionAcceptor {
 public:
  // Called with each accepted connection, a non-blocking socket. The callee
  // owns and closes `fd`. The acceptor notices the end of the connection by the
  // closed descriptor.
  using TakeConnection = std::function<void(int fd)>;

  // Listens on `address` (see ListeningSockets). Connections wait in the kernel
  // until Start. An accepted connection is closed at once if `connections_max`
  // are open, or if the process is almost out of descriptors. Raises the
  // process's limit on descriptors (RLIMIT_NOFILE) to the number that the
  // connections need, as far as permitted.
  static absl::StatusOr<std::unique_ptr<ConnectionAcceptor>> Listen(
      const std::string& address, std::size_t connections_max);

  ~ConnectionAcceptor();

  ConnectionAcceptor(const ConnectionAcceptor&) = delete;
  ConnectionAcceptor& operator=(const ConnectionAcceptor&) = delete;

  int port() const { return sockets_.port(); }

  // Returns the sockets of the accepted connections.
  const PeerSockets& peer_sockets() const { return peer_sockets_; }

  // Starts one thread for each listening socket, which calls `take`. Call once.
  void Start(TakeConnection take);
  // Stops listening and resets connections that were not accepted yet. `take`
  // is not called after this has returned. Does nothing if called again.
  void Stop();

  struct Counts {
    std::size_t open = 0;
    std::uint64_t refused = 0;
  };
  Counts Count() const;

 private:
  ConnectionAcceptor(ListeningSockets sockets, std::size_t connections_max);

  void AcceptFrom(int listener);
  // Records the connection. Returns false if the limits do not allow it.
  bool Admit(int fd);
  // Removes closed connections from `open_`.
  void ForgetClosed() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  // The members below are constant after Start.
  const ListeningSockets sockets_;
  const std::size_t connections_max_;
  const int fd_max_;
  TakeConnection take_;
  std::vector<std::thread> threads_;

  // The members below are thread-safe by themselves.
  absl::Notification stopping_;
  PeerSockets peer_sockets_;

  mutable absl::Mutex mutex_;
  // The inode of each open connection, by descriptor. gRPC does not report when
  // it closes a connection. After the close, the descriptor is unused or
  // belongs to a file with another inode.
  mutable absl::flat_hash_map<int, ino_t> open_ ABSL_GUARDED_BY(mutex_);
  // Admit calls ForgetClosed only after this time.
  TimePoint next_look_ ABSL_GUARDED_BY(mutex_) = TimePoint::min();
  std::uint64_t refused_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace sluice

#endif  // SLUICE_SERVER_TRANSPORT_CONNECTION_ACCEPTOR_H_
