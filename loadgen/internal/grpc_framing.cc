#include "loadgen/internal/grpc_framing.h"

#include <nghttp2/nghttp2.h>

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"

namespace sluice {
namespace {

constexpr std::size_t kPrefixBytes = 5;
constexpr std::size_t kHeaderValueBytesMax = 16384;

std::size_t MessageLength(absl::string_view prefix) {
  std::size_t length = 0;
  for (const char c : prefix.substr(1, 4)) {
    length = length << 8U | static_cast<unsigned char>(c);
  }
  return length;
}

absl::Status CheckPrefix(absl::string_view prefix) {
  if (prefix[0] != 0) {
    return absl::InternalError(
        "the answer is compressed, which this client did not accept");
  }
  if (MessageLength(prefix) > GrpcMessageReader::kMessageBytesMax) {
    return absl::InternalError(absl::StrCat("the answer is longer than ",
                                            GrpcMessageReader::kMessageBytesMax,
                                            " bytes"));
  }
  return absl::OkStatus();
}

absl::StatusCode ParseStatusCode(absl::string_view value) {
  int code = 0;
  if (!absl::SimpleAtoi(value, &code) || code < 0 || code > 16) {
    return absl::StatusCode::kUnknown;
  }
  return static_cast<absl::StatusCode>(code);
}

absl::StatusCode CodeOfHttpStatus(int status) {
  switch (status) {
    case 400:
      return absl::StatusCode::kInternal;
    case 401:
      return absl::StatusCode::kUnauthenticated;
    case 403:
      return absl::StatusCode::kPermissionDenied;
    case 404:
      return absl::StatusCode::kUnimplemented;
    case 429:
    case 502:
    case 503:
    case 504:
      return absl::StatusCode::kUnavailable;
    default:
      return absl::StatusCode::kUnknown;
  }
}

absl::StatusCode CodeOfH2Error(std::uint32_t error) {
  switch (error) {
    case NGHTTP2_REFUSED_STREAM:
      return absl::StatusCode::kUnavailable;
    case NGHTTP2_CANCEL:
      return absl::StatusCode::kCancelled;
    case NGHTTP2_ENHANCE_YOUR_CALM:
      return absl::StatusCode::kResourceExhausted;
    case NGHTTP2_INADEQUATE_SECURITY:
      return absl::StatusCode::kPermissionDenied;
    default:
      return absl::StatusCode::kInternal;
  }
}

}  // namespace

void AppendGrpcMessage(absl::string_view message, std::string& out) {
  const auto length = static_cast<std::uint32_t>(message.size());
  const char prefix[kPrefixBytes] = {
      0, static_cast<char>(length >> 24U), static_cast<char>(length >> 16U),
      static_cast<char>(length >> 8U), static_cast<char>(length)};
  out.append(prefix, kPrefixBytes);
  absl::StrAppend(&out, message);
}

std::string FormatGrpcTimeout(absl::Duration timeout) {
  struct Unit {
    absl::Duration length;
    char letter;
  };
  static const Unit kUnits[] = {
      {absl::Nanoseconds(1), 'n'},  {absl::Microseconds(1), 'u'},
      {absl::Milliseconds(1), 'm'}, {absl::Seconds(1), 'S'},
      {absl::Minutes(1), 'M'},      {absl::Hours(1), 'H'},
  };
  constexpr std::int64_t kDigitsMax = 99'999'999;
  timeout = std::max(timeout, absl::Nanoseconds(1));
  for (const Unit& unit : kUnits) {
    const absl::Duration ceiling = absl::Ceil(timeout, unit.length);
    if (ceiling <= kDigitsMax * unit.length) {
      return absl::StrCat(ceiling / unit.length,
                          absl::string_view(&unit.letter, 1));
    }
  }
  return absl::StrCat(kDigitsMax, "H");
}

absl::Status GrpcMessageReader::Read(
    absl::string_view bytes, absl::FunctionRef<void(absl::string_view)> sink) {
  while (!bytes.empty()) {
    // Common case: do not copy a complete message that arrived in one piece.
    if (partial_.empty() && bytes.size() >= kPrefixBytes) {
      if (auto status = CheckPrefix(bytes); !status.ok()) return status;
      const std::size_t length = MessageLength(bytes);
      if (bytes.size() - kPrefixBytes >= length) {
        sink(bytes.substr(kPrefixBytes, length));
        bytes.remove_prefix(kPrefixBytes + length);
        continue;
      }
    }
    std::size_t missing =
        kPrefixBytes - std::min(partial_.size(), kPrefixBytes);
    if (missing == 0) {
      missing = kPrefixBytes + MessageLength(partial_) - partial_.size();
    }
    const std::size_t taken = std::min(missing, bytes.size());
    absl::StrAppend(&partial_, bytes.substr(0, taken));
    bytes.remove_prefix(taken);
    if (partial_.size() < kPrefixBytes) continue;
    if (auto status = CheckPrefix(partial_); !status.ok()) return status;
    if (partial_.size() == kPrefixBytes + MessageLength(partial_)) {
      sink(absl::string_view(partial_).substr(kPrefixBytes));
      partial_.clear();
    }
  }
  return absl::OkStatus();
}

void GrpcOutcome::ReadHeader(absl::string_view name, absl::string_view value) {
  if (value.size() > kHeaderValueBytesMax) return;
  if (name == ":status") {
    if (!absl::SimpleAtoi(value, &http_status_)) http_status_ = 0;
  } else if (name == "grpc-status") {
    code_ = ParseStatusCode(value);
  } else if (name == "grpc-message") {
    message_ = std::string(value);
  } else if (name == "grpc-status-details-bin") {
    details_bin_ = std::string(value);
  } else if (name == "grpc-retry-pushback-ms") {
    std::int64_t ms = 0;
    pushback_ms_ = absl::SimpleAtoi(value, &ms) && ms >= 0 ? ms : -1;
  }
}

absl::StatusCode GrpcOutcome::Code(std::uint32_t h2_error) const {
  if (code_) return *code_;
  if (http_status_ != 0 && http_status_ != 200) {
    return CodeOfHttpStatus(http_status_);
  }
  if (h2_error != NGHTTP2_NO_ERROR) return CodeOfH2Error(h2_error);
  return absl::StatusCode::kUnknown;
}

std::string GrpcOutcome::Message() const {
  std::string decoded;
  for (std::size_t i = 0; i < message_.size(); ++i) {
    const absl::string_view digits =
        absl::string_view(message_).substr(i + 1, 2);
    if (message_[i] == '%' && digits.size() == 2 &&
        absl::ascii_isxdigit(static_cast<unsigned char>(digits[0])) &&
        absl::ascii_isxdigit(static_cast<unsigned char>(digits[1]))) {
      decoded += absl::HexStringToBytes(digits);
      i += 2;
    } else {
      decoded += message_[i];
    }
  }
  return decoded;
}

std::string GrpcOutcome::Reason() const {
  std::string bytes;
  google::rpc::Status status;
  if (!absl::Base64Unescape(details_bin_, &bytes) ||
      !status.ParseFromString(bytes)) {
    return "";
  }
  for (const auto& detail : status.details()) {
    google::rpc::ErrorInfo info;
    if (detail.Is<google::rpc::ErrorInfo>() && detail.UnpackTo(&info)) {
      return info.reason();
    }
  }
  return "";
}

void GrpcOutcome::Reset() {
  http_status_ = 0;
  code_.reset();
  pushback_ms_.reset();
  message_.clear();
  details_bin_.clear();
}

}  // namespace sluice
