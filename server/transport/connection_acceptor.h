// Takes in connections, as many as may be open at a time.
//
// gRPC 1.51 has no limit on them, and its own listener stops for good at the
// first accept(2) that fails, as it does once the process is out of
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
#include "absl/time/time.h"
#include "prometheus/collectable.h"
#include "prometheus/metric_family.h"
#include "server/transport/listening_sockets.h"
#include "server/transport/peer_sockets.h"

namespace sluice {

// Thread-safe, but for Start and Stop, which belong to one thread.
class ConnectionAcceptor final : public prometheus::Collectable {
 public:
  // Called with each connection that is let in, a non-blocking socket. It is
  // the callee's to close, as close(2) alone tells that a connection is over.
  using TakeConnection = std::function<void(int fd)>;

  // Listens on `address` (see ListeningSockets); connections wait until Start.
  // Those that would make more than `connections_max` open are closed as they
  // come, and so are those that would use up the process's descriptors, of
  // which it allows itself as many as it needs and may have (RLIMIT_NOFILE).
  static absl::StatusOr<std::unique_ptr<ConnectionAcceptor>> Listen(
      const std::string& address, std::size_t connections_max);

  ~ConnectionAcceptor() override;

  int port() const { return sockets_.port(); }

  // Those that were let in.
  const PeerSockets& peer_sockets() const { return peer_sockets_; }

  // Calls `take` from a thread of its own, or from several.
  void Start(TakeConnection take);
  // Stops listening and closes what was not taken yet; `take` is not called any
  // more afterwards.
  void Stop();

  struct Counts {
    std::size_t open = 0;
    std::uint64_t refused = 0;
  };
  Counts Count() const;

  // sluice_connections and sluice_connections_refused_total.
  std::vector<prometheus::MetricFamily> Collect() const override;

 private:
  ConnectionAcceptor(ListeningSockets sockets, std::size_t connections_max);

  void AcceptFrom(int listener);
  bool LetIn(int fd);
  void ForgetClosed() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  // Constant after Start:
  const ListeningSockets sockets_;
  const std::size_t connections_max_;
  const int fd_max_;
  TakeConnection take_;
  std::vector<std::thread> threads_;

  // Synchronized themselves:
  absl::Notification stopping_;
  PeerSockets peer_sockets_;

  mutable absl::Mutex mutex_;
  // Connections by descriptor. Nobody says when one is closed; but then its
  // number belongs to nothing, or to something with another inode.
  mutable absl::flat_hash_map<int, ino_t> open_ ABSL_GUARDED_BY(mutex_);
  absl::Time next_look_ ABSL_GUARDED_BY(mutex_) = absl::InfinitePast();
  std::uint64_t refused_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace sluice

#endif  // SLUICE_SERVER_TRANSPORT_CONNECTION_ACCEPTOR_H_
