// For any request, ToFhirJson writes JSON on one line that ParseFhirJson reads
// back equal, except for decimals that are no numbers and a status that the
// proto does not name.
//
// Input: fields of a SubmitRequest as FillMessage reads them.

#include <string>

#include "forms/answers.h"
#include "forms/fhir_json.h"
#include "forms/fhir_json_writer.h"
#include "nlohmann/json.hpp"
#include "tests/fuzz/fuzz.h"

namespace sluice {
namespace {

using Response = v1::QuestionnaireResponse;

bool IsNumber(const std::string& text) {
  return nlohmann::json::accept(text) &&
         text.find_first_not_of("+-.0123456789eE") == std::string::npos;
}

void RemoveLost(google::protobuf::RepeatedPtrField<Response::Item>& items) {
  for (Response::Item& item : items) {
    for (Response::Answer& answer : *item.mutable_answer()) {
      if (answer.has_decimal() && !IsNumber(answer.decimal())) {
        answer.clear_decimal();
      }
      if (answer.has_quantity() && !IsNumber(answer.quantity().value())) {
        answer.mutable_quantity()->clear_value();
      }
      RemoveLost(*answer.mutable_item());
    }
    RemoveLost(*item.mutable_item());
  }
}

FhirProvenance ReadProvenance(InputReader& reader) {
  FhirProvenance provenance;
  const int choice = reader.Byte();
  if ((choice & 1) != 0) {
    provenance.sequence = static_cast<std::int64_t>(reader.LongWord());
  }
  if ((choice & 2) != 0) {
    provenance.received_at = absl::FromUnixSeconds(reader.Word());
  }
  if ((choice & 4) != 0) {
    provenance.quarantine = {
        .reason = std::string(reader.Text()),
        .tries = reader.Byte(),
        .quarantined_at = absl::FromUnixSeconds(reader.Word())};
  }
  return provenance;
}

}  // namespace

void FuzzOne(std::string_view input) {
  InputReader reader(input);
  const FhirProvenance provenance = ReadProvenance(reader);
  v1::SubmitRequest request;
  FillMessage(reader, request);

  const std::string json = ToFhirJson(request, provenance);
  Require(nlohmann::json::accept(json), "FHIR JSON is JSON");
  Require(json.find('\n') == std::string::npos, "FHIR JSON is on one line");
  const auto read = ParseFhirJson(json);
  Require(read.ok(), "what is written as FHIR JSON is read");

  Response expected = request.response();
  RemoveLost(*expected.mutable_item());
  if (StatusCode(expected.status()).empty()) expected.clear_status();
  Require(read->response.SerializeAsString() == expected.SerializeAsString(),
          "what is written as FHIR JSON is read equal");
  Require(
      read->id ==
          (IsFhirId(request.submission_id()) ? request.submission_id() : ""),
      "the id is the submission's where FHIR takes it for one");
}

}  // namespace sluice
