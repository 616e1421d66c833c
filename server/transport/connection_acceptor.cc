#include "server/transport/connection_acceptor.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <limits>
#include <system_error>
#include <utility>

#include "base/check.h"
#include "spdlog/spdlog.h"

namespace sluice {
namespace {

// Descriptors reserved for the store, the metrics and gRPC itself.
constexpr std::size_t kOtherDescriptors = 128;
// Pause after a failed accept. Meanwhile other connections may end.
constexpr absl::Duration kPause = absl::Milliseconds(20);
// Shortest time between two searches for closed connections. A search looks at
// all open connections, so not every refused connection may start a search.
constexpr Duration kLookInterval = std::chrono::milliseconds(20);

// Raises the process's limit on descriptors to the number that `connections`
// need, or as far as possible. Returns the lowest descriptor number that a
// connection may not have.
int RaiseDescriptorLimit(std::size_t connections) {
  const rlim_t needed = connections + kOtherDescriptors;
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) {
    return std::numeric_limits<int>::max();
  }
  if (limit.rlim_cur < needed) {
    limit.rlim_cur = std::min(needed, limit.rlim_max);
    setrlimit(RLIMIT_NOFILE, &limit);
    getrlimit(RLIMIT_NOFILE, &limit);
  }
  if (limit.rlim_cur < needed) {
    spdlog::warn(
        "limits.connections: {} connections need about {} descriptors, but the "
        "process may open only {}; raise the limit (ulimit -n)",
        connections, needed, limit.rlim_cur);
  }
  const rlim_t usable = limit.rlim_cur > 2 * kOtherDescriptors
                            ? limit.rlim_cur - kOtherDescriptors
                            : limit.rlim_cur / 2;
  return static_cast<int>(
      std::min<rlim_t>(usable, std::numeric_limits<int>::max()));
}

// Returns the inode of `fd`, or 0 if `fd` is closed.
ino_t InodeOf(int fd) {
  struct stat status {};
  return fstat(fd, &status) == 0 ? status.st_ino : 0;
}

}  // namespace

absl::StatusOr<std::unique_ptr<ConnectionAcceptor>> ConnectionAcceptor::Listen(
    const std::string& address, std::size_t connections_max) {
  auto sockets = ListeningSockets::Open(address);
  if (!sockets.ok()) return sockets.status();
  return std::unique_ptr<ConnectionAcceptor>(
      new ConnectionAcceptor(*std::move(sockets), connections_max));
}

ConnectionAcceptor::ConnectionAcceptor(ListeningSockets sockets,
                                       std::size_t connections_max)
    : sockets_(std::move(sockets)),
      connections_max_(connections_max),
      fd_max_(RaiseDescriptorLimit(connections_max)) {}

ConnectionAcceptor::~ConnectionAcceptor() { Stop(); }

void ConnectionAcceptor::Start(TakeConnection take) {
  SLUICE_DCHECK(threads_.empty() && !stopping_.HasBeenNotified());
  take_ = std::move(take);
  for (const int listener : sockets_.fds()) {
    threads_.emplace_back([this, listener] { AcceptFrom(listener); });
  }
}

void ConnectionAcceptor::Stop() {
  if (stopping_.HasBeenNotified()) return;
  stopping_.Notify();
  // Wakes poll, and resets connections that wait to be accepted.
  for (const int listener : sockets_.fds()) shutdown(listener, SHUT_RDWR);
  for (std::thread& thread : threads_) thread.join();
}

void ConnectionAcceptor::AcceptFrom(int listener) {
  bool failing = false;
  while (!stopping_.HasBeenNotified()) {
    // Poll before accept: a blocking accept would occupy its descriptor while
    // it waits, and if no descriptor is free, would report this only after the
    // wait.
    pollfd arrival = {.fd = listener, .events = POLLIN, .revents = 0};
    poll(&arrival, 1, /*timeout=*/-1);
    const int fd =
        accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
      failing = false;
      if (Admit(fd)) {
        take_(fd);
      } else {
        close(fd);
      }
    } else if (errno != EINTR && !stopping_.HasBeenNotified()) {
      if (!failing) {
        spdlog::warn("cannot accept connections: {}",
                     std::generic_category().message(errno));
      }
      failing = true;
      stopping_.WaitForNotificationWithTimeout(kPause);
    }
  }
}

bool ConnectionAcceptor::Admit(int fd) {
  absl::MutexLock lock(&mutex_);
  // The kernel reused the descriptor, so the connection that had it before is
  // closed.
  open_.erase(fd);
  if (open_.size() >= connections_max_ &&
      std::chrono::steady_clock::now() >= next_look_) {
    ForgetClosed();
    next_look_ = std::chrono::steady_clock::now() + kLookInterval;
  }
  // The kernel assigns the lowest free descriptor, so `fd` shows how many are
  // in use.
  if (open_.size() >= connections_max_ || fd >= fd_max_) {
    ++refused_;
    return false;
  }
  open_.emplace(fd, InodeOf(fd));
  const int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  peer_sockets_.Add(fd);
  return true;
}

void ConnectionAcceptor::ForgetClosed() const {
  absl::erase_if(open_, [](const auto& connection) {
    return InodeOf(connection.first) != connection.second;
  });
}

ConnectionAcceptor::Counts ConnectionAcceptor::Count() const {
  absl::MutexLock lock(&mutex_);
  ForgetClosed();
  return {.open = open_.size(), .refused = refused_};
}

}  // namespace sluice
