#include "loadgen/internal/h2_connection.h"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <span>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"

namespace sluice {
namespace {

constexpr std::size_t kReadBytes = std::size_t{64} << 10;
// Limit for framed bytes that the socket has not accepted.
constexpr std::size_t kOutBytesMax = std::size_t{256} << 10;
// HTTP/2 window sizes. They are large, so that answers do not wait for window
// updates.
constexpr std::int32_t kStreamWindow = 1 << 20;
constexpr std::int32_t kConnectionWindow = 16 << 20;

absl::Status Lost(absl::string_view why) {
  return absl::UnavailableError(absl::StrCat("connection lost: ", why));
}

absl::Status LostByErrno(int error) { return Lost(std::strerror(error)); }

absl::string_view ToView(const std::uint8_t* bytes, std::size_t size) {
  return {reinterpret_cast<const char*>(bytes), size};
}

std::uint8_t* ToBytes(const std::string& text) {
  // nghttp2 takes mutable pointers but does not change names and values.
  return reinterpret_cast<std::uint8_t*>(const_cast<char*>(text.data()));
}

}  // namespace

absl::StatusOr<H2Target> H2Target::Resolve(absl::string_view host_port) {
  const std::size_t colon = host_port.rfind(':');
  if (colon == absl::string_view::npos || colon == 0 ||
      colon + 1 == host_port.size()) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", host_port, "\" is not host:port"));
  }
  absl::string_view host = host_port.substr(0, colon);
  if (absl::ConsumePrefix(&host, "[")) absl::ConsumeSuffix(&host, "]");

  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int error = getaddrinfo(
      std::string(host).c_str(),
      std::string(host_port.substr(colon + 1)).c_str(), &hints, &found);
  if (error != 0) {
    return absl::UnavailableError(
        absl::StrCat("cannot resolve ", host_port, ": ", gai_strerror(error)));
  }
  H2Target target;
  std::memcpy(&target.address, found->ai_addr, found->ai_addrlen);
  target.address_size = found->ai_addrlen;
  target.authority = std::string(host_port);
  freeaddrinfo(found);
  return target;
}

void H2Stream::ResetRequest() {
  unsent_.clear();
  sent_ = 0;
  ends_ = false;
  id_ = 0;
}

void H2Stream::ForgetSent() {
  // Wait until half of the buffer is sent, so that moving the remaining bytes
  // is cheap on average.
  if (unsent_bytes() <= sent_) {
    unsent_.erase(0, sent_);
    sent_ = 0;
  }
}

// Callbacks of nghttp2. `user_data` is the H2Connection; the user data of a
// stream is its H2Stream.
struct H2Connection::Callbacks {
  static H2Stream* FindStream(nghttp2_session* session, std::int32_t id) {
    return static_cast<H2Stream*>(
        nghttp2_session_get_stream_user_data(session, id));
  }

  static int OnHeader(nghttp2_session* session, const nghttp2_frame* frame,
                      const std::uint8_t* name, std::size_t name_size,
                      const std::uint8_t* value, std::size_t value_size,
                      std::uint8_t, void*) {
    if (auto* stream = FindStream(session, frame->hd.stream_id)) {
      stream->OnHeader(ToView(name, name_size), ToView(value, value_size));
    }
    return 0;
  }

  static int OnData(nghttp2_session* session, std::uint8_t, std::int32_t id,
                    const std::uint8_t* bytes, std::size_t size, void*) {
    if (auto* stream = FindStream(session, id)) {
      stream->OnData(ToView(bytes, size));
    }
    return 0;
  }

  static int OnFrame(nghttp2_session*, const nghttp2_frame* frame,
                     void* user_data) {
    auto* connection = static_cast<H2Connection*>(user_data);
    if (frame->hd.type == NGHTTP2_SETTINGS) connection->greeted_ = true;
    if (frame->hd.type == NGHTTP2_GOAWAY) connection->going_away_ = true;
    return 0;
  }

  static int OnClose(nghttp2_session* session, std::int32_t id,
                     std::uint32_t h2_error, void*) {
    if (auto* stream = FindStream(session, id)) stream->OnClose(h2_error);
    return 0;
  }

  static ssize_t ReadUnsent(nghttp2_session*, std::int32_t, std::uint8_t* out,
                            std::size_t room, std::uint32_t* flags,
                            nghttp2_data_source* source, void*) {
    auto& stream = *static_cast<H2Stream*>(source->ptr);
    const std::size_t size = std::min(room, stream.unsent_bytes());
    std::memcpy(out, stream.unsent_.data() + stream.sent_, size);
    stream.sent_ += size;
    stream.ForgetSent();
    if (stream.unsent_bytes() == 0) {
      if (stream.ends_) {
        *flags |= NGHTTP2_DATA_FLAG_EOF;
      } else if (size == 0) {
        return NGHTTP2_ERR_DEFERRED;
      }
    }
    return static_cast<ssize_t>(size);
  }

  static nghttp2_session* NewSession(H2Connection* connection) {
    nghttp2_session_callbacks* callbacks = nullptr;
    nghttp2_session_callbacks_new(&callbacks);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, OnHeader);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks,
                                                              OnData);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, OnFrame);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, OnClose);
    nghttp2_session* session = nullptr;
    nghttp2_session_client_new(&session, callbacks, connection);
    nghttp2_session_callbacks_del(callbacks);
    return session;
  }
};

absl::StatusOr<std::unique_ptr<H2Connection>> H2Connection::Connect(
    const H2Target& target, absl::string_view path, const Headers& headers) {
  const int fd = socket(target.address.ss_family,
                        SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) {
    return absl::UnavailableError(
        absl::StrCat("no socket: ", std::strerror(errno)));
  }
  const int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (connect(fd, reinterpret_cast<const sockaddr*>(&target.address),
              target.address_size) != 0 &&
      errno != EINPROGRESS) {
    const int error = errno;
    close(fd);
    return LostByErrno(error);
  }
  return std::unique_ptr<H2Connection>(
      new H2Connection(fd, target.authority, path, headers));
}

H2Connection::H2Connection(int fd, std::string authority,
                           absl::string_view path, const Headers& headers)
    : fd_(fd),
      headers_({{":method", "POST"},
                {":scheme", "http"},
                {":path", std::string(path)},
                {":authority", std::move(authority)}}) {
  headers_.insert(headers_.end(), headers.begin(), headers.end());
  for (const auto& [name, value] : headers_) {
    fields_.push_back(
        {ToBytes(name), ToBytes(value), name.size(), value.size(),
         NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE});
  }
  session_ = Callbacks::NewSession(this);
  const std::array<nghttp2_settings_entry, 2> settings = {{
      {NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
      {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, kStreamWindow},
  }};
  nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, settings.data(),
                          settings.size());
  nghttp2_session_set_local_window_size(session_, NGHTTP2_FLAG_NONE, 0,
                                        kConnectionWindow);
}

H2Connection::~H2Connection() {
  nghttp2_session_del(session_);
  close(fd_);
}

bool H2Connection::Open(H2Stream& stream, const Headers& more) {
  const std::size_t common = fields_.size();
  for (const auto& [name, value] : more) {
    fields_.push_back({ToBytes(name), ToBytes(value), name.size(), value.size(),
                       NGHTTP2_NV_FLAG_NONE});
  }
  nghttp2_data_provider body{};
  body.source.ptr = &stream;
  body.read_callback = Callbacks::ReadUnsent;
  const std::int32_t id = nghttp2_submit_request(
      session_, nullptr, fields_.data(), fields_.size(), &body, &stream);
  fields_.resize(common);
  if (id < 0) {
    // The connection has no unused stream ids. It must be replaced, as after a
    // GOAWAY.
    going_away_ = true;
    return false;
  }
  stream.id_ = id;
  return true;
}

void H2Connection::Resume(H2Stream& stream) {
  // Ignore the error: it means that the stream is not deferred, so it need not
  // be resumed.
  nghttp2_session_resume_data(session_, stream.id_);
}

void H2Connection::Cancel(H2Stream& stream) {
  nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, stream.id_,
                            NGHTTP2_CANCEL);
}

absl::Status H2Connection::Read() {
  if (auto status = CheckConnected(); !status.ok()) return status;
  std::array<std::uint8_t, kReadBytes> buffer;
  const ssize_t size = recv(fd_, buffer.data(), buffer.size(), 0);
  if (size == 0) return Lost("closed by the server");
  if (size < 0) {
    if (errno == EAGAIN || errno == EINTR) return absl::OkStatus();
    return LostByErrno(errno);
  }
  bytes_received_ += size;
  const ssize_t taken = nghttp2_session_mem_recv(
      session_, buffer.data(), static_cast<std::size_t>(size));
  if (taken < 0) return Lost(nghttp2_strerror(static_cast<int>(taken)));
  if (nghttp2_session_want_read(session_) == 0 &&
      nghttp2_session_want_write(session_) == 0) {
    return Lost(greeted_ ? "ended by the server"
                         : "the server does not speak HTTP/2");
  }
  return absl::OkStatus();
}

absl::Status H2Connection::Write() {
  if (auto status = CheckConnected(); !status.ok()) return status;
  if (!connected_) return absl::OkStatus();
  for (;;) {
    FillOut();
    if (!blocked()) return absl::OkStatus();
    const ssize_t size = send(fd_, out_.data() + out_sent_,
                              out_.size() - out_sent_, MSG_NOSIGNAL);
    if (size < 0) {
      if (errno == EAGAIN || errno == EINTR) return absl::OkStatus();
      return LostByErrno(errno);
    }
    bytes_sent_ += size;
    out_sent_ += static_cast<std::size_t>(size);
  }
}

absl::Status H2Connection::CheckConnected() {
  if (connected_) return absl::OkStatus();
  int error = 0;
  socklen_t size = sizeof error;
  getsockopt(fd_, SOL_SOCKET, SO_ERROR, &error, &size);
  if (error != 0) return LostByErrno(error);
  sockaddr_storage peer{};
  size = sizeof peer;
  connected_ = getpeername(fd_, reinterpret_cast<sockaddr*>(&peer), &size) == 0;
  return absl::OkStatus();
}

void H2Connection::FillOut() {
  if (!blocked()) {
    out_.clear();
    out_sent_ = 0;
  }
  while (out_.size() < kOutBytesMax) {
    const std::uint8_t* bytes = nullptr;
    const ssize_t size = nghttp2_session_mem_send(session_, &bytes);
    // The only possible error is a lack of memory. Read reports all other
    // errors.
    if (size <= 0) return;
    absl::StrAppend(&out_, ToView(bytes, static_cast<std::size_t>(size)));
  }
}

}  // namespace sluice
