// A TCP server that sends the same bytes to every client, for tests of clients.

#ifndef SLUICE_TESTS_FAKES_RAW_SERVER_H_
#define SLUICE_TESTS_FAKES_RAW_SERVER_H_

#include <atomic>
#include <string>
#include <thread>

namespace sluice {

// Serves one connection after another: sends `greeting`, then closes the
// connection, or reads until the client closes it.
class RawServer {
 public:
  enum class Then { kClose, kRead };

  RawServer(std::string greeting, Then then);
  // Closes all connections.
  ~RawServer();

  RawServer(const RawServer&) = delete;
  RawServer& operator=(const RawServer&) = delete;

  // Returns the host and port, such as "127.0.0.1:50051".
  std::string target() const;
  // Number of connections so far.
  int connections() const { return connections_; }

 private:
  void Serve();

  const std::string greeting_;
  const Then then_;
  int listener_;
  int port_ = 0;
  std::atomic<int> connections_{0};
  std::thread thread_;
};

}  // namespace sluice

#endif  // SLUICE_TESTS_FAKES_RAW_SERVER_H_
