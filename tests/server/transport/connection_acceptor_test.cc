#include "server/transport/connection_acceptor.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstddef>
#include <cstdlib>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/fakes/patience.h"
#include "tests/fakes/tcp_connection.h"

namespace sluice {
namespace {

using ::testing::HasSubstr;

// Receives and holds the accepted connections.
class Connections {
 public:
  ~Connections() {
    for (const int fd : fds_) close(fd);
  }

  ConnectionAcceptor::TakeConnection Taker() {
    return [this](int fd) {
      absl::MutexLock lock(&mutex_);
      fds_.push_back(fd);
    };
  }

  // Waits until `count` connections were accepted, and returns the last.
  int Await(std::size_t count) {
    absl::MutexLock lock(&mutex_);
    const auto reached = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
      return fds_.size() >= count;
    };
    EXPECT_TRUE(mutex_.AwaitWithTimeout(absl::Condition(&reached), kPatience));
    EXPECT_EQ(fds_.size(), count);
    return fds_.empty() ? -1 : fds_.back();
  }

  void CloseLast() {
    absl::MutexLock lock(&mutex_);
    close(fds_.back());
    fds_.pop_back();
  }

 private:
  absl::Mutex mutex_;
  std::vector<int> fds_ ABSL_GUARDED_BY(mutex_);
};

std::unique_ptr<ConnectionAcceptor> Listen(const std::string& address,
                                           std::size_t connections_max) {
  auto acceptor = ConnectionAcceptor::Listen(address, connections_max);
  if (!acceptor.ok()) {
    ADD_FAILURE() << acceptor.status();
    std::abort();
  }
  return *std::move(acceptor);
}

// Restores the process's limit on descriptors when it is destroyed.
class DescriptorLimit {
 public:
  DescriptorLimit() { getrlimit(RLIMIT_NOFILE, &before_); }
  ~DescriptorLimit() { setrlimit(RLIMIT_NOFILE, &before_); }

  void Set(rlim_t soft) {
    const rlimit limit = {soft, before_.rlim_max};
    ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
  }
  static rlim_t soft() {
    rlimit limit{};
    getrlimit(RLIMIT_NOFILE, &limit);
    return limit.rlim_cur;
  }

 private:
  rlimit before_{};
};

TEST(ConnectionAcceptor, HandsOverAcceptedConnections) {
  Connections connections;
  const auto acceptor = Listen("127.0.0.1:0", 10);
  ASSERT_GT(acceptor->port(), 0);
  acceptor->Start(connections.Taker());
  const TcpConnection client(acceptor->port());
  const int fd = connections.Await(1);
  EXPECT_TRUE(fcntl(fd, F_GETFL) & O_NONBLOCK);
  EXPECT_TRUE(fcntl(fd, F_GETFD) & FD_CLOEXEC);
  int no_delay = 0;
  socklen_t size = sizeof(no_delay);
  getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &no_delay, &size);
  EXPECT_EQ(no_delay, 1);
  acceptor->Stop();
}

TEST(ConnectionAcceptor, AcceptsConnectionsThatArrivedBeforeStart) {
  Connections connections;
  const auto acceptor = Listen("127.0.0.1:0", 10);
  const TcpConnection early(acceptor->port());
  EXPECT_TRUE(early.connected());
  acceptor->Start(connections.Taker());
  connections.Await(1);
  acceptor->Stop();
}

TEST(ConnectionAcceptor, ClosesConnectionsBeyondItsLimit) {
  Connections connections;
  const auto acceptor = Listen("127.0.0.1:0", 2);
  acceptor->Start(connections.Taker());
  const TcpConnection first(acceptor->port());
  const TcpConnection second(acceptor->port());
  connections.Await(2);
  EXPECT_EQ(TcpConnection(acceptor->port()).ReadToEnd(), "");
  EXPECT_EQ(TcpConnection(acceptor->port()).ReadToEnd(), "");
  EXPECT_EQ(acceptor->Count().open, 2u);
  EXPECT_EQ(acceptor->Count().refused, 2u);

  connections.CloseLast();
  EXPECT_EQ(acceptor->Count().open, 1u);
  const TcpConnection next(acceptor->port());
  connections.Await(2);
  EXPECT_EQ(acceptor->Count().open, 2u);
  acceptor->Stop();
}

TEST(ConnectionAcceptor, DoesNotCountAnotherFileWithAConnectionsDescriptor) {
  Connections connections;
  const auto acceptor = Listen("127.0.0.1:0", 10);
  acceptor->Start(connections.Taker());
  const TcpConnection client(acceptor->port());
  const int fd = connections.Await(1);
  // From now on another file has the descriptor.
  const int other = open("/dev/null", O_RDONLY | O_CLOEXEC);
  ASSERT_EQ(dup2(other, fd), fd);
  close(other);
  EXPECT_EQ(acceptor->Count().open, 0u);
  acceptor->Stop();
}

TEST(ConnectionAcceptor, LeavesDescriptorsForOthers) {
  DescriptorLimit limit;
  limit.Set(1000);
  Connections connections;
  const auto acceptor = Listen("127.0.0.1:0", 300);
  acceptor->Start(connections.Taker());
  // Other open files use up the descriptors for connections.
  std::vector<int> fillers;
  for (int fd = 0; fd < 900;) {
    fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    ASSERT_GE(fd, 0);
    fillers.push_back(fd);
  }
  EXPECT_EQ(TcpConnection(acceptor->port()).ReadToEnd(), "");
  EXPECT_EQ(acceptor->Count().refused, 1u);
  for (const int fd : fillers) close(fd);
  const TcpConnection client(acceptor->port());
  connections.Await(1);
  acceptor->Stop();
}

TEST(ConnectionAcceptor, RaisesTheLimitToTheDescriptorsThatItNeeds) {
  DescriptorLimit limit;
  limit.Set(256);
  const auto acceptor = Listen("127.0.0.1:0", 1000);
  EXPECT_GE(DescriptorLimit::soft(), 1000u);
}

TEST(ConnectionAcceptor, AcceptsAgainOnceThereAreDescriptors) {
  DescriptorLimit limit;
  Connections connections;
  const auto acceptor = Listen("127.0.0.1:0", 10);
  acceptor->Start(connections.Taker());
  const TcpConnection first(acceptor->port());
  connections.Await(1);
  limit.Set(64);
  std::vector<int> fillers;
  for (int fd = 0; (fd = open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0;) {
    fillers.push_back(fd);
  }
  // The client's socket uses the only free descriptor.
  close(fillers.back());
  fillers.pop_back();
  const TcpConnection second(acceptor->port());
  EXPECT_TRUE(second.connected());
  for (const int fd : fillers) close(fd);
  connections.Await(2);
  acceptor->Stop();
}

TEST(ConnectionAcceptor, StopsListening) {
  Connections connections;
  auto acceptor = Listen("127.0.0.1:0", 10);
  const int port = acceptor->port();
  acceptor->Start(connections.Taker());
  const TcpConnection open(port);
  connections.Await(1);
  acceptor->Stop();
  EXPECT_FALSE(TcpConnection(port).connected());
  EXPECT_EQ(acceptor->Count().open, 1u);
  // The port becomes free at once, although a connection is still open.
  acceptor.reset();
  EXPECT_EQ(Listen(absl::StrCat("127.0.0.1:", port), 10)->port(), port);
}

TEST(ListeningSockets, RefuseAnAddressThatIsInUse) {
  const auto first = Listen("127.0.0.1:0", 10);
  const std::string address = absl::StrCat("127.0.0.1:", first->port());
  const auto second = ListeningSockets::Open(address);
  EXPECT_EQ(second.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(second.status().message()),
              HasSubstr(absl::StrCat("cannot listen on ", address)));
}

TEST(ListeningSockets, RefuseAnAddressThatTheMachineDoesNotHave) {
  for (const char* address :
       {"192.0.2.1:0", "no.such.host.invalid:0", "127.0.0.1:99999",
        "127.0.0.1:http", "127.0.0.1", "", "[127.0.0.1:0", "[]:0"}) {
    const auto sockets = ListeningSockets::Open(address);
    EXPECT_EQ(sockets.status().code(), absl::StatusCode::kUnavailable)
        << address;
  }
}

TEST(ListeningSockets, OfANameHaveOnePort) {
  const auto sockets = ListeningSockets::Open("localhost:0");
  ASSERT_TRUE(sockets.ok()) << sockets.status();
  EXPECT_GE(sockets->fds().size(), 1u);
  EXPECT_TRUE(TcpConnection(sockets->port()).connected());
}

TEST(ListeningSockets, OfEveryIpv6AddressTakeIpv4AsWell) {
  const auto sockets = ListeningSockets::Open("[::]:0");
  if (!sockets.ok()) GTEST_SKIP() << "no IPv6: " << sockets.status();
  EXPECT_TRUE(TcpConnection(sockets->port()).connected());
}

}  // namespace
}  // namespace sluice
