// A unary call of sluicectl. It has a deadline, sends the time of sending, and
// is retried if the server asks for it and the user allows it.

#ifndef SLUICE_TOOLS_CTL_CALL_H_
#define SLUICE_TOOLS_CTL_CALL_H_

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "grpcpp/client_context.h"
#include "grpcpp/support/status.h"

namespace sluice {

struct CallOptions {
  absl::Duration timeout = absl::Seconds(30);  // deadline of each attempt
  int retries = 5;                             // maximum number of retries
  // Waits between attempts.
  std::function<void(absl::Duration)> sleep = absl::SleepFor;
};

// An error, for people and programs. Texts from the server are escaped, so that
// they are safe to print.
struct CallError {
  struct FieldViolation {
    std::string field;
    std::string description;
  };

  std::string code;  // e.g. "RESOURCE_EXHAUSTED"
  std::string message;
  std::string reason;  // from ErrorInfo; empty if there is none
  std::vector<FieldViolation> field_violations;  // from BadRequest
};

// Returns the delay before another attempt that the server asked for, by
// grpc-retry-pushback-ms or RetryInfo. Empty if the server forbade a retry,
// gave no delay, or gave a delay above kRetryDelayMax.
inline constexpr absl::Duration kRetryDelayMax = absl::Minutes(1);
std::optional<absl::Duration> RetryDelay(const grpc::Status& status,
                                         const grpc::ClientContext& context);

// Calls `attempt`, each time with a new context, until it succeeds, until the
// server asks for no retry, or until the retries are used up. Returns the last
// status.
grpc::Status Call(
    const CallOptions& options,
    absl::FunctionRef<grpc::Status(grpc::ClientContext&)> attempt);

// Describes a status that is not OK.
CallError DescribeError(const grpc::Status& status);

// Returns the error as text, e.g. "INVALID_ARGUMENT: no study_id (reason ...)",
// without field violations.
std::string ErrorText(const CallError& error);

// Returns `text` without anything that a terminal would interpret: ASCII and C1
// control characters, and bytes that are not UTF-8, are escaped.
std::string Printable(const std::string& text);

}  // namespace sluice

#endif  // SLUICE_TOOLS_CTL_CALL_H_
