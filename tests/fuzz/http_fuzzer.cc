// Whatever a client sends to the HTTP endpoint, the client gets an HTTP answer
// or a closed connection, and the endpoint answers the next client.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <memory>
#include <string>

#include "prometheus/registry.h"
#include "server/metrics/http_endpoint.h"
#include "tests/fuzz/fuzz.h"

namespace sluice {
namespace {

HttpEndpoint& Endpoint() {
  static const auto* const endpoint = new std::unique_ptr<HttpEndpoint>(
      HttpEndpoint::Start(
          {.address = "127.0.0.1:0",
           .content = {.metrics = {std::make_shared<prometheus::Registry>()},
                       .readiness =
                           [](std::string_view) {
                             return HttpEndpoint::Readiness{.ready = true,
                                                            .text = "ok\n"};
                           }},
           .request_timeout = absl::Seconds(2)})
          .value());
  return **endpoint;
}

std::string Ask(std::string_view request) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(Endpoint().port()));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  // Thousands of connections a second would exhaust the ports of one source
  // address: a port cannot be used again for some time.
  static std::uint32_t connections = 0;
  sockaddr_in source{};
  source.sin_family = AF_INET;
  source.sin_addr.s_addr = htonl(INADDR_LOOPBACK + connections++ % 1024);
  Require(
      bind(fd, reinterpret_cast<const sockaddr*>(&source), sizeof source) == 0,
      "a source address is bound");
  Require(connect(fd, reinterpret_cast<const sockaddr*>(&address),
                  sizeof address) == 0,
          "the endpoint takes a connection");
  (void)send(fd, request.data(), request.size(), MSG_NOSIGNAL);
  shutdown(fd, SHUT_WR);
  std::string answer;
  std::array<char, 4096> bytes;
  for (ssize_t size = 1; size > 0;) {
    size = recv(fd, bytes.data(), bytes.size(), 0);
    if (size > 0) answer.append(bytes.data(), static_cast<std::size_t>(size));
  }
  close(fd);
  return answer;
}

}  // namespace

void FuzzOne(std::string_view input) {
  const std::string answer = Ask(input);
  Require(answer.empty() || answer.starts_with("HTTP/"),
          "an answer is HTTP: " + answer);
  static int runs = 0;
  if (++runs % 100 != 0) return;
  Require(Ask("GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
              .starts_with("HTTP/1.1 200 "),
          "the endpoint answers the next client");
}

}  // namespace sluice
