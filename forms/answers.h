// The answers of a response as plain rows, for people who read with SQL.

#ifndef SLUICE_FORMS_ANSWERS_H_
#define SLUICE_FORMS_ANSWERS_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/time/time.h"
#include "sluice/v1/questionnaire_response.pb.h"

namespace sluice {

// Writes the answers of a response as a JSON array with one object (row) per
// answer, for example
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
//
// The rows are written straight from the wire format, so that a response with
// millions of small items needs no memory beside its rows. Repeated singular
// fields are read as protobuf's parser reads them: the last value counts, and
// messages are merged.
class AnswerRows {
 public:
  // Default of the maximum size of the array, in bytes. The rows of a response
  // within the default limits of the server are smaller. An older version may
  // have accepted a larger response: one item may have millions of answers, and
  // each row repeats the link id.
  static constexpr std::size_t kBytesMax = std::size_t{256} << 20;
  // Deepest nesting of items and answers. Protobuf's parser has the same limit.
  static constexpr int kDepthMax = 100;

  // Overwrites `json`, which must outlive this object. `bytes_hint` is the
  // approximate size of the rows, if known.
  explicit AnswerRows(std::string* json, std::size_t bytes_hint = 0,
                      std::size_t bytes_max = kBytesMax);

  // Appends the rows of an item, a serialized QuestionnaireResponse.Item that
  // passed the wire check. Returns false if the item is malformed, is nested
  // deeper than kDepthMax, or exceeds `bytes_max`; `json` is then unusable.
  bool AddItem(std::string_view item) { return AddItem(item, 1); }

  // Ends the array. Call once, after the last item.
  void End();

 private:
  bool AddItem(std::string_view item, int depth);
  bool AddAnswer(std::string_view link_id, std::string_view answer, int depth);
  // Appends the items that the fields with `tag` of a message contain.
  bool AddItems(std::string_view message, std::uint32_t tag, int depth);

  std::string& json_;
  const std::size_t bytes_max_;
};

// Returns the answers of a serialized QuestionnaireResponse as AnswerRows
// writes them, or nothing if AddItem fails.
std::optional<std::string> AnswersJson(std::string_view response);

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
