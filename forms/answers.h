// The answers of a response as plain rows, for people who read with SQL.

#ifndef SLUICE_FORMS_ANSWERS_H_
#define SLUICE_FORMS_ANSWERS_H_

#include <optional>
#include <string>
#include <string_view>

#include "absl/time/time.h"
#include "sluice/v1/questionnaire_response.pb.h"

namespace sluice {

// Returns a JSON array with one object (row) per answer, for example
//   {"link_id": "1.1", "type": "coding", "value": "LA6560-2",
//    "display": "Confused", "system": "http://loinc.org"}
//
// Order: depth first, in the order of the form. The items of an answer come
// after the answer, the items of a group after its answers.
//
// `type` is the name of the answer's field in the proto. `value` is
//   integer     a JSON number
//   boolean     true or false
//   coding      the code, or else the display; also `display` and `system`
//   quantity    the value, with `comparator`, since "< 5" is not 5, and `unit`,
//               which is the code if the quantity has no unit
//   reference   the reference, or else the display; also `display`
//   attachment  the url, or else the title; never the data
//   others      a string, decimals with their digits as sent
//
// Empty members are left out. A question or answer without a value has no row.
// The result is always valid JSON: bytes that are not UTF-8 become U+FFFD.
std::string AnswersJson(const v1::QuestionnaireResponse& response);

// Returns FHIR's code, such as "completed"; empty if `status` is unspecified or
// is not one of the proto's.
std::string_view StatusCode(v1::QuestionnaireResponse::Status status);

// Returns the instant of a FHIR dateTime such as 2026-03-01T20:15:00.5+01:00.
// Returns nothing if it is malformed, has no seconds or has no offset. A leap
// second (23:59:60) is read as the next second, as in POSIX time. Digits below
// the nanosecond are dropped.
std::optional<absl::Time> ParseInstant(std::string_view date_time);

}  // namespace sluice

#endif  // SLUICE_FORMS_ANSWERS_H_
