// A client's side of one HTTP/2 connection without TLS ("prior knowledge"), on
// libnghttp2 and a socket that never blocks.

#ifndef SLUICE_LOADGEN_H2_CONNECTION_H_
#define SLUICE_LOADGEN_H2_CONNECTION_H_

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

// Where to connect, and the name by which the server is asked for.
struct H2Target {
  // Resolves `host:port` or `[v6]:port`; the first address counts.
  static absl::StatusOr<H2Target> Resolve(absl::string_view host_port);

  sockaddr_storage address{};
  socklen_t address_size = 0;
  std::string authority;
};

// One request and its answer. The callbacks come from within
// H2Connection::Read and Write; there, neither of them may be called.
class H2Stream {
 public:
  virtual ~H2Stream() = default;

  // A header of the answer, or a trailer.
  virtual void OnHeader(absl::string_view name, absl::string_view value) = 0;
  virtual void OnData(absl::string_view bytes) = 0;
  // The last callback: the stream may now be opened again. It does not come for
  // streams that are open when the connection is lost.
  virtual void OnClose(std::uint32_t h2_error) = 0;

  // What is still to be sent. To change it, once opened, takes a Resume.
  std::string& unsent() { return unsent_; }
  std::size_t unsent_bytes() const { return unsent_.size() - sent_; }

  // The request ends where `unsent` does.
  void EndAfterUnsent() { ends_ = true; }

  // Back to a request that was never opened.
  void ResetRequest();

 private:
  friend class H2Connection;

  void ForgetSent();

  std::string unsent_;
  std::size_t sent_ = 0;  // of unsent_, from its beginning
  bool ends_ = false;
  std::int32_t id_ = 0;
};

// Not thread-safe.
class H2Connection {
 public:
  using Headers = std::vector<std::pair<std::string, std::string>>;

  // Begins to connect. `headers` go with every request, behind those that
  // HTTP/2 asks for. UNAVAILABLE where the socket says no at once.
  static absl::StatusOr<std::unique_ptr<H2Connection>> Connect(
      const H2Target& target, absl::string_view path, const Headers& headers);
  ~H2Connection();

  H2Connection(const H2Connection&) = delete;
  H2Connection& operator=(const H2Connection&) = delete;

  int fd() const { return fd_; }

  // Whether requests may be opened: the server has greeted, and has not said
  // that it is going away.
  bool ready() const { return greeted_ && !going_away_; }
  bool going_away() const { return going_away_; }

  // The stream is lent until its OnClose, or until this object's end. `more`
  // goes with this request alone. False where no stream can be opened any more.
  bool Open(H2Stream& stream, const Headers& more = {});
  // There is more to send, or the request now ends.
  void Resume(H2Stream& stream);
  // Gives the stream up; its OnClose still comes.
  void Cancel(H2Stream& stream);

  // Takes in some of what the socket has; call it again while it is readable.
  // UNAVAILABLE where the connection is lost, or the peer does not speak
  // HTTP/2.
  absl::Status Read();
  // Sends as much as the socket takes. UNAVAILABLE as above.
  absl::Status Write();
  // Whether bytes are left that the socket did not take.
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
  std::size_t out_sent_ = 0;  // of out_
  std::int64_t bytes_sent_ = 0;
  std::int64_t bytes_received_ = 0;
};

}  // namespace sluice

#endif  // SLUICE_LOADGEN_H2_CONNECTION_H_
