// Frames of HTTP/2 (RFC 9113) as bytes, for clients that misbehave.

#ifndef SLUICE_TESTS_FAKES_HTTP2_FRAMES_H_
#define SLUICE_TESTS_FAKES_HTTP2_FRAMES_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sluice::http2 {

inline constexpr char kPreface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

enum FrameType : std::uint8_t {
  kData = 0,
  kHeaders = 1,
  kReset = 3,
  kSettings = 4,
  kPing = 6,
};

enum Flag : std::uint8_t { kNone = 0, kEndStream = 1, kEndHeaders = 4 };

inline std::string BigEndian(std::size_t value, int bytes) {
  std::string text;
  for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8) {
    text += static_cast<char>(value >> shift & 0xFF);
  }
  return text;
}

inline std::string Frame(FrameType type, int flags, std::uint32_t stream,
                         std::string_view payload) {
  return BigEndian(payload.size(), 3) + static_cast<char>(type) +
         static_cast<char>(flags) + BigEndian(stream, 4) + std::string(payload);
}

// Returns the bytes that a client sends first. `stream_window` limits the bytes
// that the server may send on each stream.
inline std::string Opening(std::size_t stream_window = 65535) {
  constexpr int kInitialWindowSize = 4;
  return kPreface +
         Frame(kSettings, kNone, 0,
               BigEndian(kInitialWindowSize, 2) + BigEndian(stream_window, 4));
}

using HeaderList = std::vector<std::pair<std::string, std::string>>;

// Returns headers in HPACK (RFC 7541), each as a literal without indexing.
// Names and values must be shorter than 127 bytes.
inline std::string Headers(std::uint32_t stream, const HeaderList& headers,
                           int flags = kEndHeaders) {
  std::string block;
  for (const auto& [name, value] : headers) {
    block += '\0';
    block += static_cast<char>(name.size()) + name;
    block += static_cast<char>(value.size()) + value;
  }
  return Frame(kHeaders, flags, stream, block);
}

inline HeaderList GrpcHeaders(std::string_view path) {
  return {{":method", "POST"},
          {":scheme", "http"},
          {":path", std::string(path)},
          {":authority", "localhost"},
          {"content-type", "application/grpc"},
          {"te", "trailers"}};
}

// Returns a gRPC message, which must be shorter than 16 KiB.
inline std::string Message(std::uint32_t stream, std::string_view message,
                           int flags = kNone) {
  return Frame(kData, flags, stream,
               '\0' + BigEndian(message.size(), 4) + std::string(message));
}

// Returns the frames of a complete unary gRPC call.
inline std::string Call(std::uint32_t stream, std::string_view path,
                        std::string_view message) {
  return Headers(stream, GrpcHeaders(path)) +
         Message(stream, message, kEndStream);
}

// Returns the number of frames of `type` in the bytes that a server has sent.
inline std::size_t CountFrames(std::string_view bytes, FrameType type) {
  constexpr std::size_t kHead = 9;
  std::size_t count = 0;
  while (bytes.size() >= kHead) {
    const auto byte = [&](std::size_t at) {
      return std::size_t{static_cast<std::uint8_t>(bytes[at])};
    };
    const std::size_t length = byte(0) << 16 | byte(1) << 8 | byte(2);
    if (byte(3) == type) ++count;
    bytes.remove_prefix(std::min(bytes.size(), kHead + length));
  }
  return count;
}

}  // namespace sluice::http2

#endif  // SLUICE_TESTS_FAKES_HTTP2_FRAMES_H_
