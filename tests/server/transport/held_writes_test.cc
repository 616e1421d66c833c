#include "server/transport/held_writes.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cstddef>
#include <string>
#include <thread>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "grpcpp/alarm.h"
#include "grpcpp/completion_queue.h"
#include "gtest/gtest.h"
#include "server/transport/listening_sockets.h"
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

TEST(PeerSockets, FindsNothingForTextThatIsNoPeer) {
  PeerSockets sockets;
  for (const char* peer : {"", ":", "unix:", "unix:/socket", "ipv4:1.2.3.4:0",
                           "ipv4:1.2.3.4:65536", "ipv4:1.2.3.4:-1",
                           "ipv4:1.2.3.4:1x", "ipv6:%5B::1%5D:2"}) {
    EXPECT_EQ(sockets.Find(peer), std::nullopt) << peer;
  }
}

TEST(PeerSockets, SkipsASocketWithoutAPort) {
  int pair[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
  PeerSockets sockets;
  sockets.Add(pair[0]);
  sockets.Add(-1);
  EXPECT_EQ(sockets.Find("unix:0"), std::nullopt);
  for (const int fd : pair) close(fd);
}

class HeldWritesTest : public testing::Test {
 protected:
  HeldWritesTest() {
    sockets_.Add(first_.fd());
    sockets_.Add(second_.fd());
  }

  Accepted first_;
  const Accepted second_;
  PeerSockets sockets_;
  HeldWrites held_{&sockets_};
};

TEST_F(HeldWritesTest, HoldsUntilTheFlush) {
  EXPECT_TRUE(held_.empty());
  held_.Hold(first_.peer());
  held_.Hold(first_.peer());
  EXPECT_TRUE(first_.corked());
  EXPECT_FALSE(second_.corked());
  held_.Hold(second_.peer());
  EXPECT_TRUE(second_.corked());
  EXPECT_FALSE(held_.empty());
  held_.Flush();
  EXPECT_TRUE(held_.empty());
  EXPECT_FALSE(first_.corked());
  EXPECT_FALSE(second_.corked());
}

// Corking costs two system calls for each socket, and would join no writes.
TEST_F(HeldWritesTest, DoesNotCorkForOneWritePerSocket) {
  const auto one_to_each = [this] {
    held_.Hold(first_.peer());
    held_.Hold(second_.peer());
    const bool corked = first_.corked();
    EXPECT_EQ(held_.empty(), !corked);
    held_.Flush();
    return corked;
  };
  for (std::size_t i = 0; i < HeldWrites::kWritesEnough / 2; ++i) {
    EXPECT_TRUE(one_to_each());
  }
  for (int i = 0; i < 100; ++i) EXPECT_FALSE(one_to_each());
  // Sockets are corked again as soon as corking pays off.
  for (std::size_t i = 0; i < HeldWrites::kWritesEnough; ++i) {
    held_.Hold(first_.peer());
    EXPECT_FALSE(first_.corked());
  }
  held_.Flush();
  held_.Hold(first_.peer());
  EXPECT_TRUE(first_.corked());
}

TEST_F(HeldWritesTest, FlushesBeforeItHoldsTooMany) {
  for (std::size_t i = 0; i < HeldWrites::kWritesMax; ++i) {
    held_.Hold(first_.peer());
  }
  EXPECT_TRUE(first_.corked());
  held_.Hold(second_.peer());
  EXPECT_FALSE(first_.corked());
  EXPECT_TRUE(second_.corked());
}

// An alarm in the past puts an event into the queue at once.
TEST_F(HeldWritesTest, FlushesWhenEnoughIsHeldAlthoughThereAreEvents) {
  grpc::CompletionQueue queue;
  grpc::Alarm first_event;
  grpc::Alarm second_event;
  first_event.Set(&queue, std::chrono::system_clock::time_point(), nullptr);
  second_event.Set(&queue, std::chrono::system_clock::time_point(), nullptr);
  void* tag = nullptr;
  bool ok = false;
  for (std::size_t i = 1; i < HeldWrites::kWritesEnough; ++i) {
    held_.Hold(first_.peer());
  }
  ASSERT_TRUE(held_.Next(&queue, &tag, &ok));
  EXPECT_TRUE(first_.corked());
  held_.Hold(first_.peer());
  ASSERT_TRUE(held_.Next(&queue, &tag, &ok));
  EXPECT_FALSE(first_.corked());
  queue.Shutdown();
  EXPECT_FALSE(held_.Next(&queue, &tag, &ok));
}

TEST_F(HeldWritesTest, HoldsNothingForAnUnknownPeer) {
  const Accepted unknown;
  held_.Hold(unknown.peer());
  EXPECT_TRUE(held_.empty());
  EXPECT_FALSE(unknown.corked());
}

TEST_F(HeldWritesTest, HoldsNothingWithoutSockets) {
  HeldWrites without(nullptr);
  without.Hold(first_.peer());
  EXPECT_TRUE(without.empty());
  EXPECT_FALSE(first_.corked());
}

TEST_F(HeldWritesTest, FlushesASocketThatIsClosed) {
  held_.Hold(first_.peer());
  first_.Close();
  held_.Flush();
  EXPECT_TRUE(held_.empty());
}

TEST_F(HeldWritesTest, BelongsToOneThread) {
  if (!kChecks) GTEST_SKIP() << "assertions are off";
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  held_.Hold(first_.peer());
  EXPECT_DEATH(std::thread([this] { held_.Flush(); }).join(),
               "check failed: thread_.CalledOnOwner");
}

}  // namespace
}  // namespace sluice
