// The answers of a response as plain rows, for people who read with SQL.

#ifndef SLUICE_FORMS_ANSWERS_H_
#define SLUICE_FORMS_ANSWERS_H_

#include <optional>
#include <string>
#include <string_view>

#include "absl/time/time.h"
#include "sluice/v1/questionnaire_response.pb.h"

namespace sluice {

// A JSON array with an object per answer, depth first in the order of the form:
// an answer's own items come after it, a group's items after its answers.
//   {"link_id": "1.1", "type": "coding", "value": "LA6560-2",
//    "display": "Confused", "system": "http://loinc.org"}
// `type` is the name of the answer's field in the proto. `value` is a JSON
// number for integer, true or false for boolean, and a string for the others:
// decimals as sent, a coding's code (its display where there is no code), a
// quantity's value (with its `comparator`, since "< 5" is not 5, and its `unit`
// or, where there is none, its code as `unit`), a reference's reference (its
// display where there is none), an attachment's url (its title where there is
// none; its data is left out). Members that are empty are left out. Questions
// and answers without a value have no row. Always valid JSON: bytes that are no
// UTF-8 become U+FFFD.
std::string AnswersJson(const v1::QuestionnaireResponse& response);

// FHIR's code, e.g. "completed"; empty where unspecified.
std::string_view StatusCode(v1::QuestionnaireResponse::Status status);

// The instant of a FHIR dateTime, e.g. 2026-03-01T20:15:00.5+01:00; nothing
// where it is not precise to the second, lacks an offset, or is malformed. A
// leap second (23:59:60) is the second after it, as in POSIX time. Digits below
// the nanosecond are dropped.
std::optional<absl::Time> ParseInstant(std::string_view date_time);

}  // namespace sluice

#endif  // SLUICE_FORMS_ANSWERS_H_
