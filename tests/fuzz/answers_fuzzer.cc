// The answers of any response are a JSON array with one row for each answer
// that has a value. Each row has a known type.
//
// Input: fields of a QuestionnaireResponse as FillMessage reads them. If the
// first byte is odd, the following bytes are a serialized QuestionnaireResponse
// instead.

#include <set>
#include <string>

#include "forms/answers.h"
#include "nlohmann/json.hpp"
#include "tests/fakes/protobuf_decoder.h"
#include "tests/fuzz/fuzz.h"

namespace sluice {
namespace {

using Response = v1::QuestionnaireResponse;
using Items = google::protobuf::RepeatedPtrField<Response::Item>;

std::size_t CountValues(const Items& items) {
  std::size_t count = 0;
  for (const Response::Item& item : items) {
    for (const Response::Answer& answer : item.answer()) {
      if (answer.value_case() != Response::Answer::VALUE_NOT_SET) ++count;
      count += CountValues(answer.item());
    }
    count += CountValues(item.item());
  }
  return count;
}

}  // namespace

void FuzzOne(std::string_view input) {
  static const std::set<std::string> kTypes = {
      "boolean", "decimal", "integer", "date",     "date_time",  "time",
      "string",  "uri",     "coding",  "quantity", "attachment", "reference"};
  InputReader reader(input);
  Response response;
  if (reader.Flag()) {
    if (!response.ParseFromString(std::string(reader.Rest()))) return;
  } else {
    FillMessage(reader, response);
  }

  const auto json = AnswersJson(response.SerializeAsString());
  Require(json.has_value(), "a response that protobuf parses has rows");
  Require(*json == AnswersByProtobuf(response),
          "the rows are the rows of protobuf's message");
  const auto rows = nlohmann::json::parse(*json, nullptr,
                                          /*allow_exceptions=*/false);
  Require(rows.is_array(), "answers are a JSON array");
  Require(rows.size() == CountValues(response.item()),
          "each answer with a value has a row");
  for (const auto& row : rows) {
    Require(kTypes.contains(row.at("type")), "a row has a known type");
  }
}

}  // namespace sluice
