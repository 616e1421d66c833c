// The gRPC protocol above HTTP/2: length-prefixed messages, timeouts, and the
// status of a call in its headers and trailers.
// https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md

#ifndef SLUICE_LOADGEN_INTERNAL_GRPC_FRAMING_H_
#define SLUICE_LOADGEN_INTERNAL_GRPC_FRAMING_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace sluice {

// Appends `message` with the prefix of an uncompressed message.
void AppendGrpcMessage(absl::string_view message, std::string& out);

// Returns the value of `grpc-timeout`: at most eight digits and a unit, rounded
// up. A timeout of 0 or less becomes 1 ns.
std::string FormatGrpcTimeout(absl::Duration timeout);

// Assembles messages from the pieces that a stream delivers.
class GrpcMessageReader {
 public:
  // Limit for one message and for the bytes that are buffered.
  static constexpr std::size_t kMessageBytesMax = std::size_t{64} << 20;

  // Calls `sink` with each message that `bytes` completes. The view is valid
  // during the call. Returns INTERNAL if a message is compressed (this client
  // does not accept compression) or too long; call Reset before the next Read.
  absl::Status Read(absl::string_view bytes,
                    absl::FunctionRef<void(absl::string_view)> sink);

  // True if a message has begun and is not complete.
  bool inside_message() const { return !partial_.empty(); }

  void Reset() { partial_.clear(); }

 private:
  std::string partial_;  // an incomplete message, with its prefix
};

// The headers and trailers of one call. Feed all headers first, then ask for
// the outcome.
class GrpcOutcome {
 public:
  // Reads a header or trailer. Ignores unknown names and malformed values.
  void ReadHeader(absl::string_view name, absl::string_view value);

  // Returns the status of a call whose stream closed with `h2_error` (an HTTP/2
  // error code, 0 for none). Without a grpc-status, the HTTP status or the
  // error code is mapped as the protocol's document says.
  absl::StatusCode Code(std::uint32_t h2_error) const;

  // Returns grpc-message, percent-decoded.
  std::string Message() const;

  // Returns ErrorInfo.reason of grpc-status-details-bin, or an empty string.
  std::string Reason() const;

  // Returns grpc-retry-pushback-ms. A negative or malformed value means "do not
  // retry" and is returned as -1.
  std::optional<std::int64_t> pushback_ms() const { return pushback_ms_; }

  void Reset();

 private:
  int http_status_ = 0;
  std::optional<absl::StatusCode> code_;
  std::optional<std::int64_t> pushback_ms_;
  std::string message_;      // percent-encoded
  std::string details_bin_;  // base64-encoded
};

}  // namespace sluice

#endif  // SLUICE_LOADGEN_INTERNAL_GRPC_FRAMING_H_
