// Implements the exports of sluicectl, without the command line.

#ifndef SLUICE_TOOLS_CTL_EXPORT_H_
#define SLUICE_TOOLS_CTL_EXPORT_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "grpcpp/support/status.h"
#include "sluice/v1/admin.grpc.pb.h"
#include "tools/ctl/export_format.h"

namespace sluice {

struct ExportOptions {
  ExportFormat format = ExportFormat::kNdjson;
  std::string study_id;             // empty for all studies
  std::optional<absl::Time> since;  // earliest time of receipt
};

// The result of an export: the status, and what was written, left out or
// missing.
struct ExportReport {
  // Maximum number of listed entries. Counts have no limit.
  static constexpr std::size_t kListedMax = 20;

  // Status of the export: CANCELLED if the sink returned false.
  grpc::Status status;
  std::int64_t written = 0;  // number of questionnaire responses
  // Submissions that the formats cannot express, by kind.
  std::map<v1::SubmissionKind, std::int64_t> left_out;
  // Sequence numbers whose content cannot be used (see FormatSubmission).
  std::vector<std::int64_t> damaged;
  std::int64_t damaged_count = 0;
  // Number of sequence numbers without a submission, by reason.
  std::map<v1::SequenceGap::Reason, std::int64_t> gaps;
  std::vector<v1::SequenceGap> unaccounted;  // the first kListedMax ranges
  std::int64_t unaccounted_ranges = 0;
};

struct ExportSinks {
  // Writes some output. Returns false to end the export.
  absl::FunctionRef<bool(absl::string_view)> write;
  // Called with the progress (0 to 1) and the number of responses written.
  absl::FunctionRef<void(double fraction, std::int64_t written)> progress;
};

// Exports all matching responses. The call has no deadline.
ExportReport ExportStored(v1::Admin::StubInterface& admin,
                          const ExportOptions& options,
                          const ExportSinks& sinks);

// Returns remarks about an export, one per line. Empty if everything was
// written.
std::vector<std::string> Describe(const ExportReport& report);

// Returns "7-9", or "7".
std::string RangeText(std::int64_t first, std::int64_t last);

// Parses an instant (RFC 3339) or a day, which begins at midnight UTC. Returns
// INVALID_ARGUMENT for other text.
absl::StatusOr<absl::Time> ParseSince(const std::string& text);

}  // namespace sluice

#endif  // SLUICE_TOOLS_CTL_EXPORT_H_
