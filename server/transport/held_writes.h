// Joins the writes that a thread makes to one connection within a moment.
//
// gRPC sends each answer by itself. Each answer becomes a packet that wakes the
// peer and is acknowledged, which is a third of the cost of a call. While a
// socket is corked (TCP_CORK in tcp(7)), the kernel collects what is written.
// When the cork is removed, the kernel sends all of it in as few packets as
// possible.
//
// Corking and uncorking are two system calls for each socket. They pay off only
// if there are several writes per socket, so recent flushes decide whether
// sockets are corked.

#ifndef SLUICE_SERVER_TRANSPORT_HELD_WRITES_H_
#define SLUICE_SERVER_TRANSPORT_HELD_WRITES_H_

#include <cstddef>
#include <string_view>
#include <vector>

#include "base/thread_checker.h"
#include "grpcpp/completion_queue.h"
#include "server/transport/peer_sockets.h"

namespace sluice {

// For one thread, which serves a completion queue. The kernel sends what a
// corked socket has collected after 200 ms at the latest.
class HeldWrites {
 public:
  // If `sockets` is null, no write is held.
  explicit HeldWrites(const PeerSockets* sockets) : known_(sockets) {}
  ~HeldWrites();
  HeldWrites(const HeldWrites&) = delete;
  HeldWrites& operator=(const HeldWrites&) = delete;

  // Call before each write to `peer`, which is named as gRPC does. If
  // kWritesMax writes are held, flushes them first.
  void Hold(std::string_view peer);
  // Sends all held writes.
  void Flush();
  // True if no write is held.
  bool empty() const { return !corks_ || sockets_.empty(); }

  // Like queue->Next, but flushes before the thread sleeps, and whenever
  // kWritesEnough writes are held, so that callers can go on while the thread
  // handles further events.
  bool Next(grpc::CompletionQueue* queue, void** tag, bool* ok);

  static constexpr std::size_t kWritesEnough = 32;
  // With more, the first write would wait for too long.
  static constexpr std::size_t kWritesMax = 64;
  // Sockets are corked while recent flushes averaged at least this many writes
  // per socket.
  static constexpr double kWritesToCork = 1.25;

 private:
  void UpdateCorking();

  const PeerSockets* const known_;
  // True while sockets are corked before they are written to.
  bool corks_ = true;
  // Sockets and number of writes since the last flush.
  std::vector<int> sockets_;
  std::size_t writes_ = 0;
  // Sums over the flushes since the last UpdateCorking.
  std::size_t flushed_sockets_ = 0;
  std::size_t flushed_writes_ = 0;
  ThreadChecker thread_;
};

}  // namespace sluice

#endif  // SLUICE_SERVER_TRANSPORT_HELD_WRITES_H_
