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
#include <limits>
#include <system_error>
#include <utility>

#include "absl/time/clock.h"
#include "spdlog/spdlog.h"

namespace sluice {
namespace {

// Descriptors kept for other than connections: the store, the metrics, gRPC's
// own.
constexpr std::size_t kOtherDescriptors = 128;
// When no connection can be accepted, time for others to end.
constexpr absl::Duration kPause = absl::Milliseconds(20);
// How often those that are turned away may cost a look at all that are open.
constexpr absl::Duration kLookInterval = absl::Milliseconds(20);

// Raises the process's limit to what `connections` need, as far as it may be
// raised. Returns the first descriptor that is none for a connection.
int AllowDescriptors(std::size_t connections) {
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
        "process may have no more than {} (ulimit -n)",
        connections, needed, limit.rlim_cur);
  }
  const rlim_t usable = limit.rlim_cur > 2 * kOtherDescriptors
                            ? limit.rlim_cur - kOtherDescriptors
                            : limit.rlim_cur / 2;
  return static_cast<int>(
      std::min<rlim_t>(usable, std::numeric_limits<int>::max()));
}

// 0 where it is closed.
ino_t InodeOf(int fd) {
  struct stat status {};
  return fstat(fd, &status) == 0 ? status.st_ino : 0;
}

prometheus::MetricFamily FamilyOfOne(prometheus::MetricType type,
                                     std::string name, std::string help,
                                     double value) {
  prometheus::ClientMetric metric;
  if (type == prometheus::MetricType::Gauge) {
    metric.gauge.value = value;
  } else {
    metric.counter.value = value;
  }
  return {std::move(name), std::move(help), type, {metric}};
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
      fd_max_(AllowDescriptors(connections_max)) {}

ConnectionAcceptor::~ConnectionAcceptor() { Stop(); }

void ConnectionAcceptor::Start(TakeConnection take) {
  take_ = std::move(take);
  for (const int listener : sockets_.fds()) {
    threads_.emplace_back([this, listener] { AcceptFrom(listener); });
  }
}

void ConnectionAcceptor::Stop() {
  if (stopping_.HasBeenNotified()) return;
  stopping_.Notify();
  // Ends poll, and resets those that wait to be accepted.
  for (const int listener : sockets_.fds()) shutdown(listener, SHUT_RDWR);
  for (std::thread& thread : threads_) thread.join();
}

void ConnectionAcceptor::AcceptFrom(int listener) {
  bool failing = false;
  while (!stopping_.HasBeenNotified()) {
    // An accept that waits itself would take its descriptor beforehand.
    pollfd arrival = {.fd = listener, .events = POLLIN, .revents = 0};
    poll(&arrival, 1, /*timeout=*/-1);
    const int fd =
        accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
      failing = false;
      if (LetIn(fd)) {
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

bool ConnectionAcceptor::LetIn(int fd) {
  absl::MutexLock lock(&mutex_);
  // The number is taken over from one that is closed.
  open_.erase(fd);
  if (open_.size() >= connections_max_ && absl::Now() >= next_look_) {
    ForgetClosed();
    next_look_ = absl::Now() + kLookInterval;
  }
  // A new descriptor is the lowest that is free, so that it tells how many are
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

std::vector<prometheus::MetricFamily> ConnectionAcceptor::Collect() const {
  const Counts counts = Count();
  return {
      FamilyOfOne(prometheus::MetricType::Gauge, "sluice_connections",
                  "Connections that are open.",
                  static_cast<double>(counts.open)),
      FamilyOfOne(prometheus::MetricType::Counter,
                  "sluice_connections_refused_total",
                  "Connections closed as they came, since limits.connections "
                  "were open or descriptors ran out.",
                  static_cast<double>(counts.refused))};
}

}  // namespace sluice
