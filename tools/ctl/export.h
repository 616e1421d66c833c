// An export as sluicectl makes it, apart from its command line.

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
  std::string study_id;             // empty: of all studies
  std::optional<absl::Time> since;  // when it was received
};

// What was written, and what was not.
struct ExportReport {
  // A list of ranges grows no longer than this; counts go on.
  static constexpr std::size_t kListedMax = 20;

  // CANCELLED where the sink wanted no more.
  grpc::Status status;
  std::int64_t written = 0;  // questionnaire responses
  // By kind; those that the formats do not have.
  std::map<v1::SubmissionKind, std::int64_t> left_out;
  // Sequences whose content cannot be used, as FormatSubmission says.
  std::vector<std::int64_t> damaged;
  std::int64_t damaged_count = 0;
  // Sequences by the reason that they are not stored.
  std::map<v1::SequenceGap::Reason, std::int64_t> gaps;
  std::vector<v1::SequenceGap> unaccounted;  // of these, the first ranges
  std::int64_t unaccounted_ranges = 0;
};

struct ExportSinks {
  // Takes what is to be written; false: no more is wanted.
  absl::FunctionRef<bool(absl::string_view)> write;
  // How far it is, 0 to 1, and how many were written.
  absl::FunctionRef<void(double fraction, std::int64_t written)> progress;
};

// Has no deadline: it takes as long as there is something to read.
ExportReport ExportStored(v1::Admin::StubInterface& admin,
                          const ExportOptions& options,
                          const ExportSinks& sinks);

// What is to be said about it, a line each; nothing where all is well.
std::vector<std::string> Describe(const ExportReport& report);

// "7-9", or "7".
std::string RangeText(std::int64_t first, std::int64_t last);

// An instant (RFC 3339) or a day, which begins at midnight UTC.
// INVALID_ARGUMENT otherwise.
absl::StatusOr<absl::Time> ParseSince(const std::string& text);

}  // namespace sluice

#endif  // SLUICE_TOOLS_CTL_EXPORT_H_
