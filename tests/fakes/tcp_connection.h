// A plain TCP connection that can send any bytes.

#ifndef SLUICE_TESTS_FAKES_TCP_CONNECTION_H_
#define SLUICE_TESTS_FAKES_TCP_CONNECTION_H_

#include <cstdint>
#include <string>
#include <string_view>

namespace sluice {

class TcpConnection {
 public:
  // Connects to a port of this machine.
  explicit TcpConnection(int port, const char* host = "127.0.0.1");
  ~TcpConnection();
  TcpConnection(const TcpConnection&) = delete;
  TcpConnection& operator=(const TcpConnection&) = delete;

  bool connected() const { return connected_; }

  // True if all bytes were sent.
  bool Send(std::string_view bytes) const;

  // Returns all bytes that arrive until the other side closes the connection.
  std::string ReadToEnd() const;

  // Returns all bytes that arrive up to the first `end`, or until the other
  // side closes the connection.
  std::string ReadUntil(std::string_view end) const;

  // Returns the number of TCP segments with data that have arrived.
  std::uint32_t data_segments() const;

 private:
  int fd_;
  bool connected_ = false;
};

// Returns the body of the answer to GET `path`.
std::string HttpGet(int port, std::string_view path);

}  // namespace sluice

#endif  // SLUICE_TESTS_FAKES_TCP_CONNECTION_H_
