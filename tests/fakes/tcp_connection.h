// A bare TCP connection, for what no client library would say.

#ifndef SLUICE_TESTS_FAKES_TCP_CONNECTION_H_
#define SLUICE_TESTS_FAKES_TCP_CONNECTION_H_

#include <cstdint>
#include <string>
#include <string_view>

namespace sluice {

class TcpConnection {
 public:
  // To a port of this machine.
  explicit TcpConnection(int port, const char* host = "127.0.0.1");
  ~TcpConnection();
  TcpConnection(const TcpConnection&) = delete;
  TcpConnection& operator=(const TcpConnection&) = delete;

  bool connected() const { return connected_; }

  // Whether all of it was taken.
  bool Send(std::string_view bytes) const;

  // All that comes until the other side closes.
  std::string ReadToEnd() const;

  // How many segments with data have come.
  std::uint32_t data_segments() const;

 private:
  int fd_;
  bool connected_ = false;
};

// The body of the answer to GET `path`.
std::string HttpGet(int port, std::string_view path);

}  // namespace sluice

#endif  // SLUICE_TESTS_FAKES_TCP_CONNECTION_H_
