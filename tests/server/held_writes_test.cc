#include "server/held_writes.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cstddef>
#include <string>

#include "absl/strings/str_cat.h"
#include "grpcpp/alarm.h"
#include "grpcpp/completion_queue.h"
#include "gtest/gtest.h"
#include "server/listening_sockets.h"
#include "tests/fakes/tcp_connection.h"

namespace sluice {
namespace {

// The server's side of a connection over the loopback.
class Accepted {
 public:
  Accepted()
      : listening_(*ListeningSockets::Open("127.0.0.1:0")),
        client_(listening_.port()),
        fd_(accept(listening_.fds().at(0), nullptr, nullptr)) {}
  ~Accepted() { Close(); }

  void Close() {
    if (fd_ >= 0) close(fd_);
    fd_ = -1;
  }

  int fd() const { return fd_; }
  std::string peer() const {
    sockaddr_in address{};
    socklen_t size = sizeof(address);
    getpeername(fd_, reinterpret_cast<sockaddr*>(&address), &size);
    return absl::StrCat("ipv4:127.0.0.1:", ntohs(address.sin_port));
  }
  bool corked() const {
    int on = -1;
    socklen_t size = sizeof(on);
    getsockopt(fd_, IPPROTO_TCP, TCP_CORK, &on, &size);
    return on == 1;
  }

 private:
  const ListeningSockets listening_;
  const TcpConnection client_;
  int fd_;
};

TEST(PeerSockets, FindsASocketByItsPeersPort) {
  const Accepted connection;
  PeerSockets sockets;
  EXPECT_EQ(sockets.Find(connection.peer()), std::nullopt);
  sockets.Add(connection.fd());
  EXPECT_EQ(sockets.Find(connection.peer()), connection.fd());
}

TEST(PeerSockets, FindsNothingOfWhatIsNoPeer) {
  PeerSockets sockets;
  for (const char* peer : {"", ":", "unix:", "unix:/socket", "ipv4:1.2.3.4:0",
                           "ipv4:1.2.3.4:65536", "ipv4:1.2.3.4:-1",
                           "ipv4:1.2.3.4:1x", "ipv6:%5B::1%5D:2"}) {
    EXPECT_EQ(sockets.Find(peer), std::nullopt) << peer;
  }
}

TEST(PeerSockets, PassesOverWhatHasNoPort) {
  int pair[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
  PeerSockets sockets;
  sockets.Add(pair[0]);
  sockets.Add(-1);
  EXPECT_EQ(sockets.Find("unix:0"), std::nullopt);
  for (const int fd : pair) close(fd);
}

TEST(HeldWrites, HoldsUntilItLetsGo) {
  const Accepted first;
  const Accepted second;
  PeerSockets sockets;
  sockets.Add(first.fd());
  sockets.Add(second.fd());
  HeldWrites held(&sockets);
  EXPECT_TRUE(held.empty());
  held.Hold(first.peer());
  held.Hold(first.peer());
  EXPECT_TRUE(first.corked());
  EXPECT_FALSE(second.corked());
  held.Hold(second.peer());
  EXPECT_TRUE(second.corked());
  EXPECT_FALSE(held.empty());
  held.LetGo();
  EXPECT_TRUE(held.empty());
  EXPECT_FALSE(first.corked());
  EXPECT_FALSE(second.corked());
}

TEST(HeldWrites, LetsGoBeforeItHoldsTooMany) {
  const Accepted first;
  const Accepted second;
  PeerSockets sockets;
  sockets.Add(first.fd());
  sockets.Add(second.fd());
  HeldWrites held(&sockets);
  for (std::size_t i = 0; i < HeldWrites::kWritesMax; ++i) {
    held.Hold(first.peer());
  }
  EXPECT_TRUE(first.corked());
  held.Hold(second.peer());
  EXPECT_FALSE(first.corked());
  EXPECT_TRUE(second.corked());
}

// An alarm that is over at once is in the queue from then on.
TEST(HeldWrites, LetsGoOfEnoughAlthoughThereIsMoreToDo) {
  grpc::CompletionQueue queue;
  grpc::Alarm first_event;
  grpc::Alarm second_event;
  first_event.Set(&queue, std::chrono::system_clock::time_point(), nullptr);
  second_event.Set(&queue, std::chrono::system_clock::time_point(), nullptr);
  const Accepted connection;
  PeerSockets sockets;
  sockets.Add(connection.fd());
  HeldWrites held(&sockets);
  void* tag = nullptr;
  bool ok = false;
  for (std::size_t i = 1; i < HeldWrites::kWritesEnough; ++i) {
    held.Hold(connection.peer());
  }
  ASSERT_TRUE(held.Next(&queue, &tag, &ok));
  EXPECT_TRUE(connection.corked());
  held.Hold(connection.peer());
  ASSERT_TRUE(held.Next(&queue, &tag, &ok));
  EXPECT_FALSE(connection.corked());
  queue.Shutdown();
  EXPECT_FALSE(held.Next(&queue, &tag, &ok));
}

TEST(HeldWrites, HoldsNothingOfAPeerThatItDoesNotKnow) {
  const Accepted connection;
  PeerSockets sockets;
  HeldWrites held(&sockets);
  held.Hold(connection.peer());
  HeldWrites without(nullptr);
  without.Hold(connection.peer());
  EXPECT_TRUE(held.empty());
  EXPECT_TRUE(without.empty());
  EXPECT_FALSE(connection.corked());
}

TEST(HeldWrites, LetsGoOfWhatIsClosedByThen) {
  Accepted connection;
  PeerSockets sockets;
  sockets.Add(connection.fd());
  HeldWrites held(&sockets);
  held.Hold(connection.peer());
  connection.Close();
  held.LetGo();
  EXPECT_TRUE(held.empty());
}

}  // namespace
}  // namespace sluice
