// gRPC's part above HTTP/2: length-prefixed messages, timeouts, and what
// headers and trailers say of a call's end.
// https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md

#ifndef SLUICE_LOADGEN_GRPC_FRAMING_H_
#define SLUICE_LOADGEN_GRPC_FRAMING_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace sluice {

// Appends `message` with its prefix: not compressed, its length.
void AppendGrpcMessage(absl::string_view message, std::string& out);

// The value of `grpc-timeout`: at most eight digits and a unit, rounded up. A
// timeout that is not positive gives the least there is.
std::string FormatGrpcTimeout(absl::Duration timeout);

// Puts messages together from the pieces in which a stream delivers them.
class GrpcMessageReader {
 public:
  // Of one message; what is held is never more.
  static constexpr std::size_t kMessageBytesMax = std::size_t{64} << 20;

  // Calls `sink` with each message that `bytes` complete; the view is valid
  // during the call. INTERNAL where a message is compressed (this client never
  // offers to read that) or too long; the reader then needs a Reset.
  absl::Status Read(absl::string_view bytes,
                    absl::FunctionRef<void(absl::string_view)> sink);

  // Whether a message has begun and is not complete.
  bool inside_message() const { return !partial_.empty(); }

  void Reset() { partial_.clear(); }

 private:
  std::string partial_;  // prefix included
};

// What the headers and trailers of one call said. Header by header, then the
// outcome.
class GrpcOutcome {
 public:
  // Names that do not matter, and values that make no sense, are passed over.
  void ReadHeader(absl::string_view name, absl::string_view value);

  // The call's status when its stream has closed with `h2_error` (an HTTP/2
  // error code, 0 for none). Without a grpc-status it follows from the HTTP
  // status or the error code, as the protocol's document maps them.
  absl::StatusCode Code(std::uint32_t h2_error) const;

  // Percent-decoded.
  std::string Message() const;

  // ErrorInfo.reason of grpc-status-details-bin; empty where there is none.
  std::string Reason() const;

  // grpc-retry-pushback-ms. A value that is not a number, or is negative, means
  // "do not retry" and reads as -1.
  std::optional<std::int64_t> pushback_ms() const { return pushback_ms_; }

  void Reset();

 private:
  int http_status_ = 0;
  std::optional<absl::StatusCode> code_;
  std::optional<std::int64_t> pushback_ms_;
  std::string message_;      // as sent
  std::string details_bin_;  // as sent
};

}  // namespace sluice

#endif  // SLUICE_LOADGEN_GRPC_FRAMING_H_
