// What sluicectl does with the quarantine, apart from its command line.

#ifndef SLUICE_TOOLS_CTL_QUARANTINE_H_
#define SLUICE_TOOLS_CTL_QUARANTINE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/strings/string_view.h"
#include "grpcpp/support/status.h"
#include "sluice/v1/admin.grpc.pb.h"
#include "tools/ctl/call.h"

namespace sluice {

// Hands all entries to `sink`, in the order of sequence, until it returns false
// or a call fails. `pool` empty: of all.
grpc::Status ListQuarantine(
    v1::Admin::StubInterface& admin, const std::string& pool,
    const CallOptions& options,
    absl::FunctionRef<bool(const v1::QuarantinedSubmission&)> sink);

// Puts back those, or all where there are none, and adds up the answers until
// all have come or a call fails.
grpc::Status RetryQuarantined(v1::Admin::StubInterface& admin,
                              const std::string& pool,
                              const std::vector<std::int64_t>& sequences,
                              const CallOptions& options,
                              v1::RetryQuarantinedResponse* answer);

struct QuarantineReport {
  grpc::Status status;
  std::int64_t written = 0;
  std::int64_t left_out = 0;  // no questionnaire responses
  // Those that cannot be written, by sequence.
  std::vector<std::int64_t> damaged;
};

// Writes the questionnaire responses in quarantine as FHIR JSON, a line each. A
// sink that returns false wants no more: CANCELLED.
QuarantineReport ExportQuarantine(
    v1::Admin::StubInterface& admin, const std::string& pool,
    const CallOptions& options,
    absl::FunctionRef<bool(absl::string_view)> sink);

}  // namespace sluice

#endif  // SLUICE_TOOLS_CTL_QUARANTINE_H_
