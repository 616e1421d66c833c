// FHIR R4 QuestionnaireResponse JSON to the proto that carries its names.
// https://hl7.org/fhir/R4/questionnaireresponse.html

#ifndef SLUICE_FORMS_FHIR_JSON_H_
#define SLUICE_FORMS_FHIR_JSON_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "sluice/v1/questionnaire_response.pb.h"

namespace sluice {

struct FhirResponse {
  v1::QuestionnaireResponse response;
  std::string id;  // of the resource; empty where it has none
  // Elements that the proto does not carry, each path once, e.g. "text" or
  // "item.answer.valueCoding.extension".
  std::vector<std::string> left_out;
};

// INVALID_ARGUMENT, with the path of the element
// (item[3].answer[0].valueInteger), where the text is not JSON, not a
// QuestionnaireResponse, nested deeper than 200 levels, or where a value has
// the wrong type. An answer whose value is of a type that R4 does not know is
// an error too: without the value it would be another answer. Decimals keep
// their digits as written. Whether elements are there, and what strings such as
// dates contain, is not judged here. Error texts contain no value.
absl::StatusOr<FhirResponse> ParseFhirJson(std::string_view json);

}  // namespace sluice

#endif  // SLUICE_FORMS_FHIR_JSON_H_
