// A TCP server that says the same bytes to everybody, for tests of clients.

#ifndef SLUICE_TESTS_FAKES_RAW_SERVER_H_
#define SLUICE_TESTS_FAKES_RAW_SERVER_H_

#include <string>
#include <thread>

namespace sluice {

// Takes one connection after the other: sends `greeting`, then closes, or reads
// on until the client does.
class RawServer {
 public:
  enum class Then { kClose, kRead };

  RawServer(std::string greeting, Then then);
  // Ends all connections.
  ~RawServer();

  RawServer(const RawServer&) = delete;
  RawServer& operator=(const RawServer&) = delete;

  // "127.0.0.1:" and the port.
  std::string target() const;

 private:
  void Serve();

  const std::string greeting_;
  const Then then_;
  int listener_;
  int port_ = 0;
  std::thread thread_;
};

}  // namespace sluice

#endif  // SLUICE_TESTS_FAKES_RAW_SERVER_H_
