#include "tests/fakes/raw_server.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <utility>

#include "absl/strings/str_cat.h"

namespace sluice {

RawServer::RawServer(std::string greeting, Then then)
    : greeting_(std::move(greeting)),
      then_(then),
      listener_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  bind(listener_, generic, size);
  listen(listener_, 16);
  getsockname(listener_, generic, &size);
  port_ = ntohs(address.sin_port);
  thread_ = std::thread([this] { Serve(); });
}

RawServer::~RawServer() {
  // Wakes the thread in accept.
  shutdown(listener_, SHUT_RDWR);
  thread_.join();
  close(listener_);
}

std::string RawServer::target() const {
  return absl::StrCat("127.0.0.1:", port_);
}

void RawServer::Serve() {
  for (;;) {
    const int connection = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (connection < 0) return;
    ++connections_;
    send(connection, greeting_.data(), greeting_.size(), MSG_NOSIGNAL);
    if (then_ == Then::kRead) {
      char buffer[4096];
      while (recv(connection, buffer, sizeof buffer, 0) > 0) {
      }
    }
    close(connection);
  }
}

}  // namespace sluice
