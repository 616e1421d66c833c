// Any bytes are read as FHIR JSON, or are rejected with an error that has a
// text. A response that was read is equal after it was written as FHIR JSON and
// read again. It passes the wire check unless it is nested too deep. The id
// that sluicectl derives from a file is a UUID and never changes.

#include <string>

#include "forms/fhir_json.h"
#include "forms/fhir_json_writer.h"
#include "forms/wire_check.h"
#include "tests/fuzz/fuzz.h"
#include "tools/ctl/submission_id.h"

namespace sluice {
namespace {

bool IsUuid(std::string_view text) {
  if (text.size() != 36) return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool hyphen = i == 8 || i == 13 || i == 18 || i == 23;
    if (hyphen != (text[i] == '-')) return false;
    if (!hyphen && std::string_view("0123456789abcdefABCDEF").find(text[i]) ==
                       std::string_view::npos) {
      return false;
    }
  }
  return true;
}

}  // namespace

void FuzzOne(std::string_view input) {
  const auto read = ParseFhirJson(input);
  if (!read.ok()) {
    return Require(!read.status().message().empty(), "an error has a text");
  }
  v1::SubmitRequest request;
  request.set_study_id("study");
  request.set_submission_id("id");
  *request.mutable_response() = read->response;

  const auto again = ParseFhirJson(ToFhirJson(request, {}));
  Require(again.ok(), "what is written as FHIR JSON is read");
  Require(
      again->response.SerializeAsString() == read->response.SerializeAsString(),
      "what is written as FHIR JSON is read equal");

  const std::string bytes = request.SerializeAsString();
  static const WireChecker checker(v1::SubmitRequest::descriptor(), 100);
  const auto violation = checker.Check(bytes);
  Require(!violation || violation->description.starts_with("nested deeper"),
          "the wire check accepts what was read");

  const absl::string_view file(input.data(), input.size());
  const std::string id = SubmissionId("study", read->id, file);
  Require(IsUuid(id), "the id of a submission is a UUID");
  Require(id == SubmissionId("study", read->id, file), "an id stays the same");
}

}  // namespace sluice
