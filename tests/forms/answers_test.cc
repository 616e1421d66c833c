#include "forms/answers.h"

#include <cstdint>
#include <limits>
#include <optional>
#include <string>

#include "absl/time/time.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"

namespace sluice {
namespace {

using v1::QuestionnaireResponse;

std::string RowsOf(const QuestionnaireResponse& response) {
  return AnswersJson(response.SerializeAsString()).value_or("no rows");
}

std::string AnswersOf(const std::string& text) {
  QuestionnaireResponse response;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &response));
  return RowsOf(response);
}

TEST(AnswersJsonTest, IsAnEmptyArrayWithoutAnswers) {
  EXPECT_EQ(AnswersOf(""), "[]");
  EXPECT_EQ(AnswersOf("item { link_id: '1' text: 'asked, not answered' }"),
            "[]");
  EXPECT_EQ(AnswersOf("item { link_id: '1' answer { } }"), "[]");
}

TEST(AnswersJsonTest, WritesEveryTypeOfAnswer) {
  EXPECT_EQ(AnswersOf("item { link_id: '1' answer { boolean: true } }"),
            R"([{"link_id":"1","type":"boolean","value":true}])");
  EXPECT_EQ(AnswersOf("item { link_id: '1' answer { boolean: false } }"),
            R"([{"link_id":"1","type":"boolean","value":false}])");
  EXPECT_EQ(AnswersOf("item { link_id: '1' answer { decimal: '1.10' } }"),
            R"([{"link_id":"1","type":"decimal","value":"1.10"}])");
  EXPECT_EQ(AnswersOf("item { link_id: '1' answer { integer: 0 } }"),
            R"([{"link_id":"1","type":"integer","value":0}])");
  EXPECT_EQ(AnswersOf("item { link_id: '1' answer { date: '2026-03' } }"),
            R"([{"link_id":"1","type":"date","value":"2026-03"}])");
  EXPECT_EQ(AnswersOf("item { link_id: '1' answer { date_time: '2026' } }"),
            R"([{"link_id":"1","type":"date_time","value":"2026"}])");
  EXPECT_EQ(AnswersOf("item { link_id: '1' answer { time: '08:00:00' } }"),
            R"([{"link_id":"1","type":"time","value":"08:00:00"}])");
  EXPECT_EQ(AnswersOf("item { link_id: '1' answer { string: 'ok' } }"),
            R"([{"link_id":"1","type":"string","value":"ok"}])");
  EXPECT_EQ(AnswersOf("item { link_id: '1' answer { uri: 'urn:x' } }"),
            R"([{"link_id":"1","type":"uri","value":"urn:x"}])");
}

TEST(AnswersJsonTest, KeepsLargeIntegersExact) {
  QuestionnaireResponse response;
  auto* item = response.add_item();
  item->set_link_id("1");
  item->add_answer()->set_integer(std::numeric_limits<std::int64_t>::min());
  EXPECT_EQ(
      RowsOf(response),
      R"([{"link_id":"1","type":"integer","value":-9223372036854775808}])");
}

TEST(AnswersJsonTest, WritesACodingByItsCode) {
  EXPECT_EQ(AnswersOf(R"(item { link_id: "1.1" answer { coding {
                system: "http://loinc.org" version: "2.7" code: "LA6560-2"
                display: "Confused" user_selected: true } } })"),
            R"([{"link_id":"1.1","type":"coding","value":"LA6560-2",)"
            R"("display":"Confused","system":"http://loinc.org"}])");
  EXPECT_EQ(
      AnswersOf("item { link_id: '1' answer { coding { display: 'D' } } }"),
      R"([{"link_id":"1","type":"coding","value":"D","display":"D"}])");
}

TEST(AnswersJsonTest, KeepsTheComparatorOfAQuantity) {
  EXPECT_EQ(AnswersOf(R"(item { link_id: "1" answer { quantity {
                value: "5.0" comparator: "<" unit: "kilogram" code: "kg" } } })"),
            R"([{"link_id":"1","type":"quantity","value":"5.0",)"
            R"("comparator":"<","unit":"kilogram"}])");
  EXPECT_EQ(AnswersOf("item { answer { quantity { value: '5' code: 'kg' } } }"),
            R"([{"type":"quantity","value":"5","unit":"kg"}])");
}

TEST(AnswersJsonTest, WritesReferencesAndAttachmentsWithoutData) {
  EXPECT_EQ(AnswersOf(R"(item { link_id: "1" answer { reference {
                reference: "Patient/1" type: "Patient" display: "D" } } })"),
            R"([{"link_id":"1","type":"reference","value":"Patient/1",)"
            R"("display":"D"}])");
  EXPECT_EQ(AnswersOf(R"(item { link_id: "1" answer { attachment {
                url: "http://x" title: "T" data: "secret" } } })"),
            R"([{"link_id":"1","type":"attachment","value":"http://x"}])");
  EXPECT_EQ(AnswersOf(R"(item { link_id: "1" answer { attachment {
                title: "T" data: "secret" } } })"),
            R"([{"link_id":"1","type":"attachment","value":"T"}])");
}

TEST(AnswersJsonTest, GoesDepthFirstInTheOrderOfTheForm) {
  const auto rows = nlohmann::json::parse(AnswersOf(R"(
    item { link_id: "1"
      answer { integer: 1 item { link_id: "1a" answer { integer: 2 } } }
      answer { item { link_id: "1b" answer { integer: 3 } } }
      answer { integer: 4 }
      item { link_id: "1c"
        item { link_id: "1d" answer { integer: 5 } }
        answer { integer: 6 }
      }
    }
    item { link_id: "2" answer { integer: 7 } })"));
  std::string order;
  for (const auto& row : rows) {
    order += row["link_id"].get<std::string>() + "=" +
             std::to_string(row["value"].get<int>()) + " ";
  }
  EXPECT_EQ(order, "1=1 1a=2 1b=3 1=4 1c=6 1d=5 2=7 ");
}

TEST(AnswersJsonTest, EscapesWhatJsonDemands) {
  std::string text;
  for (char c = 0; c < 0x7F; ++c) text += c;
  text += "\u00e4\u20ac\U0001F642";
  QuestionnaireResponse response;
  auto* item = response.add_item();
  item->set_link_id("\"\\\n");
  item->add_answer()->set_string(text);
  const auto rows = nlohmann::json::parse(RowsOf(response));
  EXPECT_EQ(rows[0]["value"], text);
  EXPECT_EQ(rows[0]["link_id"], "\"\\\n");
}

TEST(AnswersJsonTest, ReplacesBytesThatAreNoUtf8) {
  QuestionnaireResponse response;
  response.add_item()->add_answer()->set_string("a\xFF\xE2\x82z");
  const auto rows = nlohmann::json::parse(RowsOf(response));
  EXPECT_EQ(rows[0]["value"], "a\uFFFD\uFFFD\uFFFDz");
}

// One item may have millions of answers, each of which repeats the link id.
TEST(AnswerRowsTest, EndBeyondTheLimit) {
  QuestionnaireResponse::Item item;
  item.set_link_id(std::string(1000, 'x'));
  for (int i = 0; i < 20; ++i) item.add_answer()->set_boolean(true);
  const std::string bytes = item.SerializeAsString();
  std::string json;
  EXPECT_TRUE(AnswerRows(&json, 0, 21'000).AddItem(bytes));
  EXPECT_FALSE(AnswerRows(&json, 0, 10'000).AddItem(bytes));
  EXPECT_LT(json.size(), 12'000u);
}

TEST(AnswerRowsTest, EndBelowTheDeepestLevel) {
  const auto nested = [](int levels) {
    QuestionnaireResponse response;
    auto* items = response.mutable_item();
    for (int level = 0; level < levels; ++level) {
      items = items->Add()->mutable_item();
    }
    return response.SerializeAsString();
  };
  EXPECT_EQ(AnswersJson(nested(AnswerRows::kDepthMax)), "[]");
  EXPECT_EQ(AnswersJson(nested(AnswerRows::kDepthMax + 1)), std::nullopt);
}

TEST(AnswerRowsTest, RefuseMalformedFieldsOnEveryLevel) {
  using std::string_literals::operator""s;
  // Lengths that exceed the message: of an item, a link id, an answer, a text,
  // a coding, a code, and of an item of an answer.
  for (const std::string& malformed :
       {"\x3A\x01"s, "\x3A\x02\x0A\x01"s, "\x3A\x02\x1A\x01"s,
        "\x3A\x04\x1A\x02\x3A\x01"s, "\x3A\x04\x1A\x02\x4A\x01"s,
        "\x3A\x06\x1A\x04\x4A\x02\x1A\x01"s, "\x3A\x04\x1A\x02\x6A\x01"s}) {
    EXPECT_EQ(AnswersJson(malformed), std::nullopt);
  }
}

TEST(StatusCodeTest, IsFhirsCode) {
  EXPECT_EQ(StatusCode(QuestionnaireResponse::IN_PROGRESS), "in-progress");
  EXPECT_EQ(StatusCode(QuestionnaireResponse::COMPLETED), "completed");
  EXPECT_EQ(StatusCode(QuestionnaireResponse::AMENDED), "amended");
  EXPECT_EQ(StatusCode(QuestionnaireResponse::ENTERED_IN_ERROR),
            "entered-in-error");
  EXPECT_EQ(StatusCode(QuestionnaireResponse::STOPPED), "stopped");
  EXPECT_EQ(StatusCode(QuestionnaireResponse::STATUS_UNSPECIFIED), "");
  EXPECT_EQ(StatusCode(static_cast<QuestionnaireResponse::Status>(99)), "");
}

std::string Utc(std::string_view date_time) {
  const auto time = ParseInstant(date_time);
  return time.has_value()
             ? absl::FormatTime(absl::RFC3339_full, *time, absl::UTCTimeZone())
             : "none";
}

TEST(ParseInstantTest, AppliesTheOffset) {
  EXPECT_EQ(Utc("2026-03-01T20:15:00Z"), "2026-03-01T20:15:00+00:00");
  EXPECT_EQ(Utc("2026-03-01T20:15:00+01:00"), "2026-03-01T19:15:00+00:00");
  EXPECT_EQ(Utc("2026-03-01T20:15:00-05:30"), "2026-03-02T01:45:00+00:00");
  EXPECT_EQ(Utc("2026-03-01T20:15:00-00:00"), "2026-03-01T20:15:00+00:00");
  EXPECT_EQ(Utc("2026-03-01T20:15:00+14:00"), "2026-03-01T06:15:00+00:00");
}

TEST(ParseInstantTest, KeepsFractionsOfASecond) {
  EXPECT_EQ(Utc("2022-12-03T16:01:06.719Z"), "2022-12-03T16:01:06.719+00:00");
  EXPECT_EQ(Utc("2022-12-03T16:01:06.123456789Z"),
            "2022-12-03T16:01:06.123456789+00:00");
  EXPECT_NE(Utc("2022-12-03T16:01:06." + std::string(1000, '9') + "Z"), "none");
}

TEST(ParseInstantTest, TakesALeapSecondAsTheSecondAfterIt) {
  EXPECT_EQ(Utc("2016-12-31T23:59:60Z"), "2017-01-01T00:00:00+00:00");
}

TEST(ParseInstantTest, KnowsTheCalendar) {
  EXPECT_EQ(Utc("2024-02-29T00:00:00Z"), "2024-02-29T00:00:00+00:00");
  for (const char* impossible :
       {"2026-02-29T00:00:00Z", "2026-02-30T00:00:00Z", "2026-04-31T00:00:00Z",
        "2026-00-01T00:00:00Z", "2026-13-01T00:00:00Z", "2026-01-00T00:00:00Z",
        "2026-01-32T00:00:00Z", "2026-01-01T24:00:00Z", "2026-01-01T00:60:00Z",
        "2026-01-01T00:00:61Z", "0000-01-01T00:00:00Z",
        "2026-01-01T00:00:00+14:01", "2026-01-01T00:00:00+01:60",
        "2026-01-01T00:00:00-24:00"}) {
    EXPECT_EQ(Utc(impossible), "none") << impossible;
  }
}

TEST(ParseInstantTest, TakesOnlyFhirsForm) {
  for (const char* malformed : {"",
                                "2026",
                                "2026-03",
                                "2026-03-01",
                                "2026-03-01T20:15",
                                "2026-03-01T20:15Z",
                                "2026-03-01T20:15:00",
                                "2026-03-01T20:15:00.Z",
                                "2026-03-01T20:15:00,5Z",
                                "2026-03-01T20:15:00.5",
                                "2026-03-01 20:15:00Z",
                                "2026-03-01t20:15:00Z",
                                "2026-03-01T20:15:00z",
                                "2026-03-01T20:15:00+01",
                                "2026-03-01T20:15:00+0100",
                                "2026-03-01T20:15:00+1:00",
                                "2026-03-01T20:15:00+01:000",
                                "2026-03-01T20:15:00ZZ",
                                " 2026-03-01T20:15:00Z",
                                "2026-03-01T20:15:00Z ",
                                "+2026-03-01T20:15:00Z",
                                "12026-03-01T20:15:00Z",
                                "2026-3-1T20:15:00Z",
                                "infinite-future",
                                "2026-03-01T20:15:00 +01:00",
                                "2026-03-01T20:15:00\xD9\xA1Z"}) {
    EXPECT_EQ(Utc(malformed), "none") << malformed;
  }
}

}  // namespace
}  // namespace sluice
