// For any answer of a server, the JSON output of sluicectl is JSON, with one
// submission per line, and its tables have no control characters that a
// terminal would interpret.
//
// Input: a byte that chooses the output, then the fields of a message as
// FillMessage reads them. A flag decides whether the content is a
// SubmitRequest.

#include <string>

#include "absl/strings/str_split.h"
#include "base/sha256.h"
#include "nlohmann/json.hpp"
#include "sluice/v1/ingestion.pb.h"
#include "tests/fuzz/fuzz.h"
#include "tools/ctl/export_format.h"
#include "tools/ctl/quarantine_output.h"

namespace sluice {
namespace {

// Returns a content and its hash. The hash is empty if the input says so.
std::pair<std::string, std::string> ReadContent(InputReader& reader) {
  v1::SubmitRequest request;
  const bool has_request = reader.Flag();
  if (has_request) FillMessage(reader, request);
  std::string content =
      has_request ? request.SerializeAsString() : std::string(reader.Text());
  const auto digest = Sha256(content);
  std::string hash(digest.begin(), digest.end());
  return {std::move(content), reader.Byte() == 1 ? "" : std::move(hash)};
}

void RequireJsonLine(const std::string& line) {
  Require(line.ends_with('\n') && line.find('\n') + 1 == line.size(),
          "a line of JSON ends with the only line end");
  Require(nlohmann::json::accept(line), "a line of JSON is JSON");
}

void RequireSafeText(const std::string& text) {
  for (const absl::string_view line : absl::StrSplit(text, '\n')) {
    Require(IsPrintable({line.data(), line.size()}),
            "a terminal gets no control characters");
  }
}

void Export(InputReader& reader, ExportFormat format) {
  auto [content, hash] = ReadContent(reader);
  v1::ExportedSubmission submission;
  FillMessage(reader, submission);
  submission.set_content(std::move(content));
  submission.set_content_sha256(std::move(hash));
  const auto lines = FormatSubmission(format, submission);
  if (lines.ok() && format == ExportFormat::kNdjson) RequireJsonLine(*lines);
}

void Show(InputReader& reader) {
  auto [content, hash] = ReadContent(reader);
  v1::GetQuarantinedResponse shown;
  FillMessage(reader, shown);
  shown.set_content(std::move(content));
  shown.mutable_entry()->set_content_sha256(std::move(hash));
  RequireSafeText(ShownText(shown));
  RequireJsonLine(ShownJsonLine(shown));
  const auto line = FormatQuarantined(shown);
  if (line.ok()) RequireJsonLine(*line);
  RequireSafeText(QuarantineTableLine(shown.entry()));
  RequireJsonLine(QuarantineJsonLine(shown.entry()));
}

}  // namespace

void FuzzOne(std::string_view input) {
  InputReader reader(input);
  switch (reader.Below(3)) {
    case 0:
      return Export(reader, ExportFormat::kNdjson);
    case 1:
      return Export(reader, ExportFormat::kCsv);
    default:
      return Show(reader);
  }
}

}  // namespace sluice
