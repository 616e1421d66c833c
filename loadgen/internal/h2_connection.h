// The client side of one HTTP/2 connection without TLS ("prior knowledge"), on
// libnghttp2 and a non-blocking socket.

#ifndef SLUICE_LOADGEN_INTERNAL_H2_CONNECTION_H_
#define SLUICE_LOADGEN_INTERNAL_H2_CONNECTION_H_

#include <nghttp2/nghttp2.h>
#include <sys/socket.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace sluice {

// A server's address and its :authority.
struct H2Target {
  // Resolves `host:port` or `[v6]:port` to its first address. Returns
  // INVALID_ARGUMENT if there is no host or port, UNAVAILABLE if the name
  // cannot be resolved.
  static absl::StatusOr<H2Target> Resolve(absl::string_view host_port);

  sockaddr_storage address{};
  socklen_t address_size = 0;
  std::string authority;
};

// One request and its answer. Callbacks run within H2Connection::Read and
// Write, and must not call either.
class H2Stream {
 public:
  virtual ~H2Stream() = default;

  // Called with each header and trailer of the answer.
  virtual void OnHeader(absl::string_view name, absl::string_view value) = 0;
  virtual void OnData(absl::string_view bytes) = 0;
  // The last callback. The object may now be opened for another request. Not
  // called for streams that are still open when the connection is lost.
  virtual void OnClose(std::uint32_t h2_error) = 0;

  // Bytes of the request. After a change on an open stream, call
  // H2Connection::Resume.
  std::string& unsent() { return unsent_; }
  std::size_t unsent_bytes() const { return unsent_.size() - sent_; }

  // Ends the request after the bytes in unsent().
  void EndAfterUnsent() { ends_ = true; }

  // Makes this an empty request. The stream must not be open.
  void ResetRequest();

 private:
  friend class H2Connection;

  void ForgetSent();

  std::string unsent_;
  std::size_t sent_ = 0;  // bytes of unsent_ that are sent, from its beginning
  bool ends_ = false;
  std::int32_t id_ = 0;
};

// Not thread-safe.
class H2Connection {
 public:
  using Headers = std::vector<std::pair<std::string, std::string>>;

  // Starts to connect. `headers` are sent with every request, after the pseudo
  // headers. Returns UNAVAILABLE if the socket fails at once.
  static absl::StatusOr<std::unique_ptr<H2Connection>> Connect(
      const H2Target& target, absl::string_view path, const Headers& headers);
  ~H2Connection();

  H2Connection(const H2Connection&) = delete;
  H2Connection& operator=(const H2Connection&) = delete;

  int fd() const { return fd_; }

  // True if requests may be opened: the server has sent its SETTINGS and no
  // GOAWAY.
  bool ready() const { return greeted_ && !going_away_; }
  bool going_away() const { return going_away_; }

  // Opens `stream`, which must outlive its OnClose or this object, whichever
  // comes first. `more` are headers of this request alone. Returns false if the
  // connection accepts no more streams.
  bool Open(H2Stream& stream, const Headers& more = {});
  // Sends bytes that were added to an open stream, or its end.
  void Resume(H2Stream& stream);
  // Resets the stream. OnClose is still called.
  void Cancel(H2Stream& stream);

  // Reads some bytes from the socket. Call again while the socket is readable.
  // Returns UNAVAILABLE if the connection is lost or the peer does not speak
  // HTTP/2.
  absl::Status Read();
  // Writes as much as the socket accepts. Returns UNAVAILABLE if the connection
  // is lost.
  absl::Status Write();
  // True if the socket did not accept all bytes.
  bool blocked() const { return out_sent_ < out_.size(); }

  std::int64_t bytes_sent() const { return bytes_sent_; }
  std::int64_t bytes_received() const { return bytes_received_; }

 private:
  struct Callbacks;

  H2Connection(int fd, std::string authority, absl::string_view path,
               const Headers& headers);

  absl::Status CheckConnected();
  void FillOut();

  const int fd_;
  Headers headers_;
  std::vector<nghttp2_nv> fields_;  // views of headers_
  nghttp2_session* session_ = nullptr;
  bool connected_ = false;
  bool greeted_ = false;
  bool going_away_ = false;
  std::string out_;           // frames for the socket
  std::size_t out_sent_ = 0;  // bytes of out_ that are sent
  std::int64_t bytes_sent_ = 0;
  std::int64_t bytes_received_ = 0;
};

}  // namespace sluice

#endif  // SLUICE_LOADGEN_INTERNAL_H2_CONNECTION_H_
