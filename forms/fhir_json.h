// Reads FHIR R4 QuestionnaireResponse JSON into the proto with the same names.
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
  std::string id;  // id of the resource; empty if the resource has none
  // Paths of elements that the proto has no field for, such as "text" or
  // "item.answer.valueCoding.extension". Each path is listed once.
  std::vector<std::string> left_out;
};

// Reads a response. Decimals keep their digits as written. Thread-safe.
//
// INVALID_ARGUMENT, with the path of the element
// (item[3].answer[0].valueInteger) and without any value, if
// - the text is not JSON, or is nested deeper than 200 levels,
// - the resource is not a QuestionnaireResponse,
// - a value has the wrong type,
// - an answer has a type of value that R4 does not know: without its value it
//   would be a different answer.
//
// Missing elements and the content of strings, such as dates, are not checked.
absl::StatusOr<FhirResponse> ParseFhirJson(std::string_view json);

}  // namespace sluice

#endif  // SLUICE_FORMS_FHIR_JSON_H_
