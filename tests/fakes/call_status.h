// Reads the details of an error status, as clients do.

#ifndef SLUICE_TESTS_FAKES_CALL_STATUS_H_
#define SLUICE_TESTS_FAKES_CALL_STATUS_H_

#include <optional>
#include <string>
#include <string_view>

#include "absl/time/time.h"
#include "google/rpc/status.pb.h"
#include "grpcpp/grpcpp.h"

namespace sluice {

// Returns the detail of type T, a message of google.rpc, if the status has one.
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

// Returns the value of the trailer called `name`; empty if there is none.
std::string TrailerOf(const grpc::ClientContext& context,
                      const std::string& name);

// Expects that the status asks the caller to retry later, in every form that
// clients look for: ErrorInfo with `reason`, RetryInfo, a pushback trailer with
// the same delay, and no initial metadata. Returns the delay.
absl::Duration ExpectTryLater(const grpc::Status& status,
                              const grpc::ClientContext& context,
                              grpc::StatusCode code, std::string_view reason);

}  // namespace sluice

#endif  // SLUICE_TESTS_FAKES_CALL_STATUS_H_
