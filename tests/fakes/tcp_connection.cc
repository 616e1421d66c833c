#include "tests/fakes/tcp_connection.h"

#include <arpa/inet.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>

namespace sluice {

TcpConnection::TcpConnection(int port, const char* host)
    : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  inet_pton(AF_INET, host, &address.sin_addr);
  connected_ = connect(fd_, reinterpret_cast<const sockaddr*>(&address),
                       sizeof(address)) == 0;
}

TcpConnection::~TcpConnection() { close(fd_); }

bool TcpConnection::Send(std::string_view bytes) const {
  return send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL) ==
         static_cast<ssize_t>(bytes.size());
}

std::string TcpConnection::ReadToEnd() const {
  std::string text;
  char buffer[4096];
  for (ssize_t n = 0; (n = recv(fd_, buffer, sizeof(buffer), 0)) > 0;) {
    text.append(buffer, static_cast<std::size_t>(n));
  }
  return text;
}

std::string TcpConnection::ReadUntil(std::string_view end) const {
  std::string text;
  char byte = 0;
  while (!text.ends_with(end) && recv(fd_, &byte, 1, 0) == 1) text += byte;
  return text;
}

std::uint32_t TcpConnection::data_segments() const {
  tcp_info info{};
  socklen_t size = sizeof(info);
  getsockopt(fd_, IPPROTO_TCP, TCP_INFO, &info, &size);
  return info.tcpi_data_segs_in;
}

std::string HttpGet(int port, std::string_view path) {
  const TcpConnection connection(port);
  connection.Send("GET " + std::string(path) +
                  " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
  const std::string response = connection.ReadToEnd();
  const std::size_t body = response.find("\r\n\r\n");
  return body == std::string::npos ? "" : response.substr(body + 4);
}

}  // namespace sluice
