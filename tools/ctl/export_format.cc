#include "tools/ctl/export_format.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <nlohmann/json.hpp>
#include <optional>

#include "absl/strings/str_cat.h"
#include "base/sha256.h"
#include "forms/answers.h"
#include "forms/fhir_json_writer.h"
#include "tools/ctl/csv.h"

namespace sluice {
namespace {

using SortedJson = nlohmann::json;

constexpr std::array<absl::string_view, 16> kColumns = {
    "sequence", "study_id",      "site_id",  "submission_id",
    "subject",  "questionnaire", "status",   "position",
    "link_id",  "type",          "value",    "unit",
    "system",   "display",       "authored", "received_at"};

// Formats a time like the store.
std::string TimeText(absl::Time time) {
  return absl::FormatTime("%E4Y-%m-%dT%H:%M:%E6SZ", time, absl::UTCTimeZone());
}

bool HasHash(const std::string& content, const std::string& sha256) {
  return std::ranges::equal(Sha256(content), sha256, {}, {}, [](char c) {
    return static_cast<std::uint8_t>(c);
  });
}

absl::StatusOr<v1::SubmitRequest> ParseContent(const std::string& content,
                                               const std::string& sha256) {
  if (!HasHash(content, sha256)) {
    return absl::DataLossError("the content does not match its SHA-256");
  }
  v1::SubmitRequest request;
  if (!request.ParseFromString(content)) {
    return absl::DataLossError("the content is not a SubmitRequest");
  }
  return request;
}

// Returns a member of an answer's row: a string unchanged, any other value as
// JSON.
std::string Member(const SortedJson& row, const char* name) {
  const auto member = row.find(name);
  if (member == row.end()) return "";
  return member->is_string() ? member->get<std::string>() : member->dump();
}

absl::StatusOr<std::string> CsvRows(const v1::ExportedSubmission& submission,
                                    const v1::QuestionnaireResponse& response) {
  const std::optional<std::string> answers =
      AnswersJson(response.SerializeAsString());
  if (!answers.has_value()) {
    return absl::OutOfRangeError("the answers are too large for CSV");
  }
  const std::string sequence = absl::StrCat(submission.sequence());
  const std::string received_at = TimeText(ToTime(submission.received_at()));
  const std::string_view code = StatusCode(response.status());
  const absl::string_view status(code.data(), code.size());
  std::string rows;
  std::size_t position = 0;
  for (const SortedJson& row : SortedJson::parse(*answers)) {
    const std::array<std::string, 7> answer = {
        absl::StrCat(position++), Member(row, "link_id"), Member(row, "type"),
        Member(row, "value"),     Member(row, "unit"),    Member(row, "system"),
        Member(row, "display")};
    const std::array<absl::string_view, kColumns.size()> fields = {
        sequence,
        submission.study_id(),
        submission.site_id(),
        submission.submission_id(),
        response.subject().reference(),
        response.questionnaire(),
        status,
        answer[0],
        answer[1],
        answer[2],
        answer[3],
        answer[4],
        answer[5],
        answer[6],
        response.authored(),
        received_at};
    AppendCsvRow(fields, rows);
  }
  return rows;
}

}  // namespace

absl::StatusOr<ExportFormat> ParseExportFormat(absl::string_view name) {
  if (name == "ndjson") return ExportFormat::kNdjson;
  if (name == "csv") return ExportFormat::kCsv;
  return absl::InvalidArgumentError("--format must be ndjson or csv");
}

std::string ExportHeader(ExportFormat format) {
  std::string header;
  if (format == ExportFormat::kCsv) AppendCsvRow(kColumns, header);
  return header;
}

absl::StatusOr<std::string> FormatSubmission(
    ExportFormat format, const v1::ExportedSubmission& submission) {
  const auto request =
      ParseContent(submission.content(), submission.content_sha256());
  if (!request.ok()) return request.status();
  if (format == ExportFormat::kCsv) {
    return CsvRows(submission, request->response());
  }
  return ToFhirJson(*request,
                    {.sequence = submission.sequence(),
                     .received_at = ToTime(submission.received_at())}) +
         "\n";
}

absl::StatusOr<std::string> FormatQuarantined(
    const v1::GetQuarantinedResponse& quarantined) {
  const v1::QuarantinedSubmission& entry = quarantined.entry();
  if (entry.kind() != v1::QUESTIONNAIRE_RESPONSE) {
    return absl::InvalidArgumentError("not a questionnaire response");
  }
  const auto request =
      ParseContent(quarantined.content(), entry.content_sha256());
  if (!request.ok()) return request.status();
  return ToFhirJson(*request, {.sequence = entry.sequence(),
                               .received_at = ToTime(entry.received_at()),
                               .quarantine =
                                   FhirProvenance::Quarantine{
                                       .reason = entry.reason(),
                                       .tries = entry.tries(),
                                       .quarantined_at =
                                           ToTime(entry.quarantined_at())}}) +
         "\n";
}

absl::Time ToTime(const google::protobuf::Timestamp& timestamp) {
  return absl::FromUnixSeconds(timestamp.seconds()) +
         absl::Nanoseconds(timestamp.nanos());
}

}  // namespace sluice
