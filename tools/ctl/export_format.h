// Questionnaire responses in the formats that others read.

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
  kNdjson,  // a FHIR R4 QuestionnaireResponse a line: forms/fhir_json_writer.h
  kCsv,     // an answer a row, in the columns of the view `answers`: RFC 4180
};

// "ndjson" or "csv"; INVALID_ARGUMENT otherwise.
absl::StatusOr<ExportFormat> ParseExportFormat(absl::string_view name);

// What comes before all others: the header of csv.
std::string ExportHeader(ExportFormat format);

// The lines of one submission, which is a questionnaire response. DATA_LOSS
// where its content does not parse, or is not what its hash was taken of.
absl::StatusOr<std::string> FormatSubmission(
    ExportFormat format, const v1::ExportedSubmission& submission);

// As a line of kNdjson, with reason, tries and time; INVALID_ARGUMENT where it
// is no questionnaire response, DATA_LOSS as above.
absl::StatusOr<std::string> FormatQuarantined(
    const v1::GetQuarantinedResponse& quarantined);

absl::Time ToTime(const google::protobuf::Timestamp& timestamp);

}  // namespace sluice

#endif  // SLUICE_TOOLS_CTL_EXPORT_FORMAT_H_
