// Joins writes to one connection that a thread makes within a short time.
//
// gRPC sends each answer separately. Each answer becomes a packet that wakes
// the peer and is acknowledged, which is a third of the cost of a call. While a
// socket is corked (TCP_CORK in tcp(7)), the kernel collects the writes. When
// the cork is removed, the kernel sends them in as few packets as possible.
//
// Corking and uncorking are two system calls for each socket. They pay off only
// if there are several writes per socket, so sockets are corked only if recent
// flushes had enough writes per socket.

#ifndef SLUICE_SERVER_TRANSPORT_HELD_WRITES_H_
#define SLUICE_SERVER_TRANSPORT_HELD_WRITES_H_

#include <cstddef>
#include <string_view>
#include <vector>

#include "base/thread_checker.h"
#include "base/time.h"
#include "grpcpp/completion_queue.h"
#include "server/transport/peer_sockets.h"

namespace sluice {

// Belongs to one thread, which serves a completion queue. The kernel sends the
// writes of a corked socket after 200 ms at the latest.
class HeldWrites {
 public:
  // If `sockets` is null, no write is held.
  explicit HeldWrites(const PeerSockets* sockets) : known_(sockets) {}
  ~HeldWrites();
  HeldWrites(const HeldWrites&) = delete;
  HeldWrites& operator=(const HeldWrites&) = delete;

  // Announces a write to `peer`, and must be called before each write. `peer`
  // has the format of gRPC's peer(). If kWritesMax writes are held, flushes
  // them first.
  void Hold(std::string_view peer);
  // Sends all held writes.
  void Flush();
  // True if no write is held.
  bool empty() const { return !corks_ || sockets_.empty(); }

  // Like queue->Next, but flushes before the thread sleeps and whenever
  // kWritesEnough writes are held, so that callers can continue while the
  // thread handles further events.
  bool Next(grpc::CompletionQueue* queue, void** tag, bool* ok);
  // Like Next, but waits for an event until `until` at most. Does not wait if
  // `until` has passed.
  grpc::CompletionQueue::NextStatus NextUntil(TimePoint until,
                                              grpc::CompletionQueue* queue,
                                              void** tag, bool* ok);

  static constexpr std::size_t kWritesEnough = 32;
  // Maximum number of held writes. With more, the first write would wait for
  // too long.
  static constexpr std::size_t kWritesMax = 64;
  // Sockets are corked while recent flushes averaged at least this many writes
  // per socket.
  static constexpr double kWritesToCork = 1.25;

 private:
  // Gets an event that is ready now, without waiting. Flushes if no event is
  // ready.
  grpc::CompletionQueue::NextStatus Poll(grpc::CompletionQueue* queue,
                                         void** tag, bool* ok);
  void UpdateCorking();

  const PeerSockets* const known_;
  // True if sockets are corked before each write.
  bool corks_ = true;
  // Sockets written to since the last flush, and the number of writes.
  std::vector<int> sockets_;
  std::size_t writes_ = 0;
  // Sums over the flushes since the last UpdateCorking.
  std::size_t flushed_sockets_ = 0;
  std::size_t flushed_writes_ = 0;
  ThreadChecker thread_;
};

}  // namespace sluice

#endif  // SLUICE_SERVER_TRANSPORT_HELD_WRITES_H_
