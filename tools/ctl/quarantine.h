// Implements the quarantine commands of sluicectl, without the command line.

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

// Passes all entries to `sink`, ordered by sequence number, until `sink`
// returns false or a call fails. An empty `pool` means all pools.
grpc::Status ListQuarantine(
    v1::Admin::StubInterface& admin, const std::string& pool,
    const CallOptions& options,
    absl::FunctionRef<bool(const v1::QuarantinedSubmission&)> sink);

// Retries the entries with these sequence numbers, or all if there are none.
// Adds up the answers of all calls, until a call fails.
grpc::Status RetryQuarantined(v1::Admin::StubInterface& admin,
                              const std::string& pool,
                              const std::vector<std::int64_t>& sequences,
                              const CallOptions& options,
                              v1::RetryQuarantinedResponse* answer);

// Returns one entry with its content.
grpc::Status GetQuarantined(v1::Admin::StubInterface& admin,
                            const v1::GetQuarantinedRequest& request,
                            const CallOptions& options,
                            v1::GetQuarantinedResponse* response);

grpc::Status DiscardQuarantined(v1::Admin::StubInterface& admin,
                                const v1::DiscardQuarantinedRequest& request,
                                const CallOptions& options);

// Passes the records of all discarded submissions to `sink`, in the order of
// discarding.
grpc::Status ListDiscarded(
    v1::Admin::StubInterface& admin, const std::string& pool,
    const CallOptions& options,
    absl::FunctionRef<void(const v1::DiscardedSubmission&)> sink);

struct QuarantineReport {
  grpc::Status status;
  std::int64_t written = 0;
  std::int64_t left_out = 0;  // entries that are not questionnaire responses
  // Sequence numbers of entries that cannot be written.
  std::vector<std::int64_t> damaged;
};

// Writes the questionnaire responses in quarantine as FHIR JSON, one per line.
// If `sink` returns false, the status is CANCELLED.
QuarantineReport ExportQuarantine(
    v1::Admin::StubInterface& admin, const std::string& pool,
    const CallOptions& options,
    absl::FunctionRef<bool(absl::string_view)> sink);

}  // namespace sluice

#endif  // SLUICE_TOOLS_CTL_QUARANTINE_H_
