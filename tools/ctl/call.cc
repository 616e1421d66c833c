#include "tools/ctl/call.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "absl/status/status.h"
#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/clock.h"
#include "base/utf8.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "grpc/support/time.h"

namespace sluice {
namespace {

// Reads the first detail of type Detail. Returns false if there is none.
template <typename Detail>
bool FindDetail(const grpc::Status& status, Detail& detail) {
  google::rpc::Status details;
  if (!details.ParseFromString(status.error_details())) return false;
  return std::ranges::any_of(details.details(), [&detail](const auto& any) {
    return any.template Is<Detail>() && any.UnpackTo(&detail);
  });
}

absl::Duration ToDuration(const google::protobuf::Duration& duration) {
  return absl::Seconds(duration.seconds()) +
         absl::Nanoseconds(duration.nanos());
}

std::optional<absl::Duration> Within(absl::Duration delay) {
  if (delay < absl::ZeroDuration() || delay > kRetryDelayMax) {
    return std::nullopt;
  }
  return delay;
}

}  // namespace

std::optional<absl::Duration> RetryDelay(const grpc::Status& status,
                                         const grpc::ClientContext& context) {
  const auto& trailers = context.GetServerTrailingMetadata();
  if (const auto pushback = trailers.find("grpc-retry-pushback-ms");
      pushback != trailers.end()) {
    const absl::string_view value(pushback->second.data(),
                                  pushback->second.size());
    std::int64_t ms = 0;
    // A value that is not a number means "do not retry".
    if (!absl::SimpleAtoi(value, &ms)) return std::nullopt;
    return Within(absl::Milliseconds(ms));
  }
  google::rpc::RetryInfo info;
  if (!FindDetail(status, info)) return std::nullopt;
  return Within(ToDuration(info.retry_delay()));
}

grpc::Status Call(
    const CallOptions& options,
    absl::FunctionRef<grpc::Status(grpc::ClientContext&)> attempt) {
  for (int retries_left = options.retries;; --retries_left) {
    grpc::ClientContext context;
    context.set_deadline(gpr_time_from_nanos(
        absl::ToInt64Nanoseconds(options.timeout), GPR_TIMESPAN));
    context.AddMetadata(
        "sluice-sent-at",
        absl::FormatTime(absl::RFC3339_full, absl::Now(), absl::UTCTimeZone()));
    const grpc::Status status = attempt(context);
    if (status.ok() || retries_left <= 0) return status;
    const auto delay = RetryDelay(status, context);
    if (!delay) return status;
    options.sleep(*delay);
  }
}

CallError DescribeError(const grpc::Status& status) {
  CallError error;
  // gRPC and Abseil use the same codes.
  error.code = absl::StatusCodeToString(
      static_cast<absl::StatusCode>(status.error_code()));
  error.message = Printable(status.error_message());
  google::rpc::ErrorInfo info;
  if (FindDetail(status, info)) error.reason = Printable(info.reason());
  google::rpc::BadRequest bad_request;
  if (FindDetail(status, bad_request)) {
    for (const auto& violation : bad_request.field_violations()) {
      error.field_violations.push_back(
          {Printable(violation.field()), Printable(violation.description())});
    }
  }
  return error;
}

std::string ErrorText(const CallError& error) {
  std::string text = absl::StrCat(error.code, ": ", error.message);
  if (!error.reason.empty()) {
    absl::StrAppend(&text, " (reason ", error.reason, ")");
  }
  return text;
}

std::string Printable(const std::string& text) {
  std::string out;
  absl::string_view rest = text;
  while (!rest.empty()) {
    const std::size_t size = Utf8CharacterSize({rest.data(), rest.size()});
    // U+0080 to U+009F are control characters too: some terminals treat U+009B
    // like ESC [.
    const bool control = size == 2 && rest[0] == '\xC2' &&
                         static_cast<unsigned char>(rest[1]) < 0xA0;
    const std::size_t taken = std::max<std::size_t>(size, 1);
    const absl::string_view character = rest.substr(0, taken);
    absl::StrAppend(&out, size == 0 || control
                              ? absl::CHexEscape(character)
                              : absl::Utf8SafeCHexEscape(character));
    rest.remove_prefix(taken);
  }
  return out;
}

}  // namespace sluice
