// Questionnaire responses as NDJSON and CSV.

#ifndef SLUICE_TOOLS_CTL_EXPORT_FORMAT_H_
#define SLUICE_TOOLS_CTL_EXPORT_FORMAT_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "google/protobuf/timestamp.pb.h"
#include "sluice/v1/admin.pb.h"

namespace sluice {

enum class ExportFormat {
  kNdjson,  // one FHIR R4 QuestionnaireResponse per line (fhir_json_writer.h)
  kCsv,     // one answer per row, with the columns of the view `answers`
};

// Parses "ndjson" or "csv". Returns INVALID_ARGUMENT for other text.
absl::StatusOr<ExportFormat> ParseExportFormat(absl::string_view name);

// Returns the text that precedes the first submission: the header of CSV.
std::string ExportHeader(ExportFormat format);

// Returns the lines of one questionnaire response. Returns DATA_LOSS if the
// content cannot be parsed or does not match its SHA-256.
absl::StatusOr<std::string> FormatSubmission(
    ExportFormat format, const v1::ExportedSubmission& submission);

// Returns a line of NDJSON with reason, number of tries and time. Returns
// INVALID_ARGUMENT if the entry is not a questionnaire response, DATA_LOSS if
// the content cannot be parsed or does not match its SHA-256.
absl::StatusOr<std::string> FormatQuarantined(
    const v1::GetQuarantinedResponse& quarantined);

absl::Time ToTime(const google::protobuf::Timestamp& timestamp);

}  // namespace sluice

#endif  // SLUICE_TOOLS_CTL_EXPORT_FORMAT_H_
