// What a client reads from the status of a call that was not OK.

#ifndef SLUICE_TESTS_FAKES_CALL_STATUS_H_
#define SLUICE_TESTS_FAKES_CALL_STATUS_H_

#include <optional>
#include <string>
#include <string_view>

#include "absl/time/time.h"
#include "google/rpc/status.pb.h"
#include "grpcpp/grpcpp.h"

namespace sluice {

// The detail of type T, a message of google.rpc, where the status has one.
template <typename T>
std::optional<T> FindDetail(const grpc::Status& status) {
  google::rpc::Status details;
  if (!details.ParseFromString(status.error_details())) return std::nullopt;
  for (const auto& detail : details.details()) {
    T found;
    if (detail.UnpackTo(&found)) return found;
  }
  return std::nullopt;
}

// Empty where there is none of that name.
std::string TrailerOf(const grpc::ClientContext& context,
                      const std::string& name);

// Fails the test unless the call was told to try again later, in all the ways
// that clients look at: ErrorInfo with `reason`, RetryInfo, the pushback
// trailer equal to it, and no initial metadata before. The delay.
absl::Duration ExpectTryLater(const grpc::Status& status,
                              const grpc::ClientContext& context,
                              grpc::StatusCode code, std::string_view reason);

}  // namespace sluice

#endif  // SLUICE_TESTS_FAKES_CALL_STATUS_H_
