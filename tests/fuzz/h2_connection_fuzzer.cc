// Whatever a server sends after its greeting, the connection of the load
// generator continues or ends with an error. The connection never crashes, and
// calls a stream only between the stream's opening and its close.

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <string>

#include "absl/strings/str_cat.h"
#include "loadgen/internal/grpc_framing.h"
#include "loadgen/internal/h2_connection.h"
#include "tests/fuzz/fuzz.h"

namespace sluice {
namespace {

constexpr std::string_view kSettings("\0\0\0\4\0\0\0\0\0", 9);

// Reads answers as the calls of the load generator do.
class Stream final : public H2Stream {
 public:
  void Opened() { open_ = true; }

  void OnHeader(absl::string_view name, absl::string_view value) override {
    Require(open_, "a header belongs to an open stream");
    outcome_.ReadHeader(name, value);
  }
  void OnData(absl::string_view bytes) override {
    Require(open_, "data belong to an open stream");
    if (readable_)
      readable_ = reader_.Read(bytes, [](absl::string_view) {}).ok();
  }
  void OnClose(std::uint32_t h2_error) override {
    Require(open_, "a stream is closed once");
    open_ = false;
    outcome_.Code(h2_error);
    outcome_.Message();
    outcome_.Reason();
  }

 private:
  bool open_ = false;
  bool readable_ = true;
  GrpcOutcome outcome_;
  GrpcMessageReader reader_;
};

// A listening socket in the abstract name space of sockets: no port, no file.
class Server {
 public:
  Server() : fd_(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const std::string name = absl::StrCat("sluice-fuzz-", getpid());
    auto& address = reinterpret_cast<sockaddr_un&>(target_.address);
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path + 1, name.data(), name.size());
    target_.address_size = static_cast<socklen_t>(
        offsetof(sockaddr_un, sun_path) + 1 + name.size());
    target_.authority = "fuzz";
    Require(bind(fd_, reinterpret_cast<const sockaddr*>(&target_.address),
                 target_.address_size) == 0 &&
                listen(fd_, 1) == 0,
            "the fuzzer's server listens");
  }

  const H2Target& target() const { return target_; }
  int Accept() const { return accept4(fd_, nullptr, nullptr, SOCK_CLOEXEC); }

 private:
  int fd_;
  H2Target target_;
};

void Send(int fd, std::string_view bytes) {
  // Bytes that the socket does not accept are dropped, because nobody reads at
  // the moment.
  (void)send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
}

void ReadAll(H2Connection& connection, std::size_t bytes) {
  const auto end =
      connection.bytes_received() + static_cast<std::int64_t>(bytes);
  while (connection.bytes_received() < end && connection.Read().ok() &&
         connection.Write().ok()) {
  }
}

}  // namespace

void FuzzOne(std::string_view input) {
  static const auto* const server = new Server;
  constexpr std::size_t kBytesMax = 64 << 10;
  input = input.substr(0, kBytesMax);
  // The streams must outlive the connection.
  std::array<Stream, 2> streams;
  auto connection = H2Connection::Connect(server->target(), "/fuzz", {});
  Require(connection.ok(), "the connection is made");
  const int fd = server->Accept();
  Send(fd, kSettings);
  ReadAll(**connection, kSettings.size());
  Require((*connection)->ready(), "a greeting makes the connection ready");
  for (Stream& stream : streams) {
    stream.unsent() = "request";
    stream.Opened();
    (*connection)->Open(stream);
  }
  streams[0].EndAfterUnsent();
  (void)(*connection)->Write();
  Send(fd, input);
  ReadAll(**connection, input.size());
  (*connection)->Cancel(streams[1]);
  (void)(*connection)->Write();
  close(fd);
  (void)(*connection)->Read();
}

}  // namespace sluice
