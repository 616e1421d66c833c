#include "forms/fhir_json.h"

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "forms/answers.h"
#include "gmock/gmock.h"
#include "google/protobuf/text_format.h"
#include "google/protobuf/util/message_differencer.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"

namespace sluice {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::UnorderedElementsAre;
using v1::QuestionnaireResponse;

std::string Document(std::string_view members) {
  return R"({"resourceType": "QuestionnaireResponse", )" +
         std::string(members) + "}";
}

std::string DocumentWithAnswer(std::string_view answer) {
  return Document(R"("item": [{"linkId": "1", "answer": [)" +
                  std::string(answer) + "]}]");
}

FhirResponse Parse(std::string_view json) {
  const auto parsed = ParseFhirJson(json);
  EXPECT_TRUE(parsed.ok()) << parsed.status();
  return parsed.ok() ? *parsed : FhirResponse();
}

std::string Error(std::string_view json) {
  const auto parsed = ParseFhirJson(json);
  EXPECT_EQ(parsed.status().code(), absl::StatusCode::kInvalidArgument);
  return std::string(parsed.status().message());
}

void ExpectResponse(std::string_view json, const std::string& expected_text) {
  QuestionnaireResponse expected;
  ASSERT_TRUE(
      google::protobuf::TextFormat::ParseFromString(expected_text, &expected));
  const FhirResponse parsed = Parse(json);
  EXPECT_TRUE(google::protobuf::util::MessageDifferencer::Equals(
      parsed.response, expected))
      << parsed.response.DebugString();
  EXPECT_THAT(parsed.left_out, IsEmpty());
}

void ExpectAnswer(std::string_view json, const std::string& expected_text) {
  ExpectResponse(DocumentWithAnswer(json),
                 "item { link_id: '1' answer { " + expected_text + " } }");
}

std::string AnswerError(std::string_view json) {
  return Error(DocumentWithAnswer(json));
}

TEST(FhirJsonTest, MapsTheResponseItself) {
  ExpectResponse(Document(R"(
      "questionnaire": "http://example.org/q|1.0",
      "status": "completed",
      "subject": {"reference": "Patient/1", "type": "Patient", "display": "D"},
      "authored": "2026-03-01T20:15:00+01:00",
      "author": {"reference": "Practitioner/2"},
      "source": {"reference": "Patient/1"})"),
                 R"(
      questionnaire: "http://example.org/q|1.0"
      status: COMPLETED
      subject { reference: "Patient/1" type: "Patient" display: "D" }
      authored: "2026-03-01T20:15:00+01:00"
      author { reference: "Practitioner/2" }
      source { reference: "Patient/1" })");
}

TEST(FhirJsonTest, GivesTheIdOfTheResource) {
  EXPECT_EQ(Parse(Document(R"("id": "abc")")).id, "abc");
  EXPECT_EQ(Parse(Document(R"("item": [])")).id, "");
}

TEST(FhirJsonTest, MapsEveryStatus) {
  for (const auto status :
       {QuestionnaireResponse::IN_PROGRESS, QuestionnaireResponse::COMPLETED,
        QuestionnaireResponse::AMENDED, QuestionnaireResponse::ENTERED_IN_ERROR,
        QuestionnaireResponse::STOPPED}) {
    const std::string code(StatusCode(status));
    EXPECT_EQ(Parse(Document(R"("status": ")" + code + '"')).response.status(),
              status);
  }
  EXPECT_THAT(Error(Document(R"("status": "canary")")),
              AllOf(HasSubstr("status: must be"), Not(HasSubstr("canary"))));
  EXPECT_THAT(Error(Document(R"("status": "")")), HasSubstr("status: must be"));
}

TEST(FhirJsonTest, MapsEveryTypeOfAnswer) {
  ExpectAnswer(R"({"valueBoolean": false})", "boolean: false");
  ExpectAnswer(R"({"valueDecimal": 1.10})", "decimal: '1.10'");
  ExpectAnswer(R"({"valueInteger": -3})", "integer: -3");
  ExpectAnswer(R"({"valueDate": "2026-03"})", "date: '2026-03'");
  ExpectAnswer(R"({"valueDateTime": "2026-03-01T08:00:00Z"})",
               "date_time: '2026-03-01T08:00:00Z'");
  ExpectAnswer(R"({"valueTime": "08:00:00"})", "time: '08:00:00'");
  ExpectAnswer(R"({"valueString": "a\nb"})", "string: 'a\\nb'");
  ExpectAnswer(R"({"valueString": ""})", "string: ''");
  ExpectAnswer(R"({"valueUri": "urn:x"})", "uri: 'urn:x'");
  ExpectAnswer(R"({"valueCoding": {"system": "s", "version": "v", "code": "c",
                   "display": "d", "userSelected": false}})",
               "coding { system: 's' version: 'v' code: 'c' display: 'd' "
               "user_selected: false }");
  ExpectAnswer(R"({"valueCoding": {}})", "coding { }");
  ExpectAnswer(R"({"valueQuantity": {"value": 70.50, "comparator": "<",
                   "unit": "u", "system": "s", "code": "c"}})",
               "quantity { value: '70.50' comparator: '<' unit: 'u' "
               "system: 's' code: 'c' }");
  ExpectAnswer(R"({"valueAttachment": {"contentType": "image/png",
                   "language": "de", "data": "/wA=", "url": "u", "size": 2,
                   "hash": "AQI=", "title": "t", "creation": "2026"}})",
               "attachment { content_type: 'image/png' language: 'de' "
               "data: '\\377\\000' url: 'u' size: 2 hash: '\\001\\002' "
               "title: 't' creation: '2026' }");
  ExpectAnswer(R"({"valueReference": {"reference": "Patient/1", "type": "T",
                   "display": "d"}})",
               "reference { reference: 'Patient/1' type: 'T' display: 'd' }");
}

TEST(FhirJsonTest, KeepsTheDigitsOfDecimals) {
  for (const std::string digits :
       {"1.10", "1e-3", "1E+5", "0", "-0", "-0.0", "7", "100.000",
        "3.14159265358979323846264338327950288", "12345678901234567890123"}) {
    ExpectAnswer(R"({"valueDecimal": )" + digits + "}",
                 "decimal: '" + digits + "'");
    ExpectAnswer(R"({"valueQuantity": {"value": )" + digits + "}}",
                 "quantity { value: '" + digits + "' }");
  }
}

TEST(FhirJsonTest, TakesTheWholeRangeOfIntegers) {
  ExpectAnswer(R"({"valueInteger": 9223372036854775807})",
               "integer: 9223372036854775807");
  ExpectAnswer(R"({"valueInteger": -9223372036854775808})",
               "integer: -9223372036854775808");
}

TEST(FhirJsonTest, MapsNestedItems) {
  ExpectResponse(Document(R"("item": [
      {"linkId": "1", "text": "group", "item": [
        {"linkId": "1.1", "answer": [
          {"valueInteger": 1, "item": [
            {"linkId": "1.1.1", "answer": [{"valueInteger": 2}]}]},
          {"item": [{"linkId": "1.1.2"}]}]}]},
      {"linkId": "2"}])"),
                 R"(
      item { link_id: "1" text: "group"
        item { link_id: "1.1"
          answer { integer: 1
                   item { link_id: "1.1.1" answer { integer: 2 } } }
          answer { item { link_id: "1.1.2" } } } }
      item { link_id: "2" })");
}

TEST(FhirJsonTest, NamesThePathOfAWrongType) {
  const std::string bad_item = R"("item": [{}, {}, {}, {"answer": [)";
  EXPECT_EQ(Error(Document(bad_item + R"({"valueInteger": "7"}]}])")),
            "item[3].answer[0].valueInteger: must be an integer");
  EXPECT_EQ(Error(Document(bad_item + R"({"item": [{"linkId": 5}]}]}])")),
            "item[3].answer[0].item[0].linkId: must be a string");
  EXPECT_EQ(Error(Document(R"("item": {})")), "item: must be an array");
  EXPECT_EQ(Error(Document(R"("item": [{}, 1])")),
            "item[1]: must be an object");
  EXPECT_EQ(Error(Document(R"("subject": "Patient/1")")),
            "subject: must be an object");
  EXPECT_EQ(Error(Document(R"("subject": {"reference": 1})")),
            "subject.reference: must be a string");
  EXPECT_EQ(Error(Document(R"("id": 1)")), "id: must be a string");
  EXPECT_EQ(Error(Document(R"("authored": null)")),
            "authored: must be a string");
}

TEST(FhirJsonTest, NamesTheFirstOfSeveralErrors) {
  EXPECT_EQ(Error(Document(R"("item": [{"linkId": 1}, {"linkId": 2}])")),
            "item[0].linkId: must be a string");
}

TEST(FhirJsonTest, RefusesAnswersOfAWrongType) {
  const std::string at = "item[0].answer[0].";
  EXPECT_EQ(AnswerError(R"({"valueBoolean": "true"})"),
            at + "valueBoolean: must be true or false");
  EXPECT_EQ(AnswerError(R"({"valueDecimal": "1.0"})"),
            at + "valueDecimal: must be a number");
  for (const std::string value :
       {"1.0", "1e2", "9223372036854775808", "null", "[]", "true"}) {
    EXPECT_EQ(AnswerError(R"({"valueInteger": )" + value + "}"),
              at + "valueInteger: must be an integer");
  }
  EXPECT_EQ(AnswerError(R"({"valueDate": 2026})"),
            at + "valueDate: must be a string");
  EXPECT_EQ(AnswerError(R"({"valueCoding": "c"})"),
            at + "valueCoding: must be an object");
  EXPECT_EQ(AnswerError(R"({"valueCoding": {"code": 1}})"),
            at + "valueCoding.code: must be a string");
  EXPECT_EQ(AnswerError(R"({"valueQuantity": {"value": "1"}})"),
            at + "valueQuantity.value: must be a number");
  EXPECT_EQ(AnswerError(R"({"valueAttachment": {"data": "canary!"}})"),
            at + "valueAttachment.data: must be base64");
}

TEST(FhirJsonTest, RefusesAnswersItCannotCarry) {
  EXPECT_EQ(AnswerError(R"({"valueCode": "c"})"),
            "item[0].answer[0].valueCode: not a type of answer in FHIR R4");
  EXPECT_EQ(
      AnswerError(R"({"valueInteger": 1, "valueString": "1"})"),
      "item[0].answer[0].value[x]: more than one value: an answer has one");
}

TEST(FhirJsonTest, ListsWhatItLeavesOutOnce) {
  const FhirResponse parsed = Parse(Document(R"(
      "meta": {"profile": ["p"]}, "text": {"div": "<div/>"}, "extension": [],
      "contained": [{"resourceType": "Patient", "id": "p"}],
      "identifier": {"value": "x"}, "_authored": {"extension": []},
      "subject": {"reference": "Patient/1", "identifier": {"value": "x"}},
      "item": [
        {"linkId": "1", "definition": "d",
         "answer": [{"valueCoding": {"code": "c", "extension": []}},
                    {"valueCoding": {"code": "d", "extension": []}}]},
        {"linkId": "2", "definition": "e",
         "answer": [{"_valueString": {"extension": []}}]}])"));
  EXPECT_THAT(parsed.left_out,
              UnorderedElementsAre("meta", "text", "extension", "contained",
                                   "identifier", "_authored",
                                   "subject.identifier", "item.definition",
                                   "item.answer.valueCoding.extension",
                                   "item.answer._valueString"));
  ASSERT_EQ(parsed.response.item_size(), 2);
  EXPECT_EQ(parsed.response.item(0).answer(1).coding().code(), "d");
}

TEST(FhirJsonTest, RefusesWhatIsNoQuestionnaireResponse) {
  EXPECT_EQ(Error("[]"), "must be a JSON object");
  EXPECT_EQ(Error("7"), "must be a JSON object");
  EXPECT_EQ(Error("{}"), "resourceType: must be QuestionnaireResponse");
  EXPECT_EQ(Error(R"({"resourceType": "Questionnaire", "item": 1})"),
            "resourceType: must be QuestionnaireResponse");
  EXPECT_EQ(Error(R"({"resourceType": 1})"), "resourceType: must be a string");
  EXPECT_THAT(Error(""), HasSubstr("not JSON"));
  EXPECT_THAT(Error("<xml/>"), HasSubstr("not JSON"));
  EXPECT_EQ(Error(Document(R"("item": [{"linkId": "1", "linkId": "2"}])")),
            "item[0].linkId: duplicate name");
}

TEST(FhirJsonTest, BoundsTheDepth) {
  const auto nested_items = [](int count) {
    std::string json;
    for (int i = 0; i < count; ++i) json += R"("item": [{)";
    for (int i = 0; i < count; ++i) json += "}]";
    return Document(json);
  };
  EXPECT_TRUE(ParseFhirJson(nested_items(99)).ok());
  EXPECT_THAT(Error(nested_items(100)),
              HasSubstr("nested deeper than 200 levels"));
  EXPECT_THAT(Error(nested_items(100000)),
              HasSubstr("nested deeper than 200 levels"));
}

// --- Files.

std::string ReadFile(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  EXPECT_TRUE(file.good()) << path;
  return {std::istreambuf_iterator<char>(file), {}};
}

std::vector<std::filesystem::path> Files(const std::filesystem::path& folder,
                                         std::string_view suffix) {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().native().ends_with(suffix)) files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

TEST(FhirJsonTest, NeverCrashesOnMutatedFiles) {
  const std::string original =
      ReadFile(std::filesystem::path(SLUICE_SOURCE_DIR) /
               "samples/phq-9-mild.response.json");
  std::mt19937_64 random(11);
  constexpr std::string_view kPieces[] = {
      "{", "}", "[", "]", "\"", ",", ":", "1", "null", "\\u", "\xFF", "item"};
  int parsed = 0;
  for (int i = 0; i < 3000; ++i) {
    std::string json = original;
    const std::size_t at = random() % json.size();
    json.replace(at, random() % 4, kPieces[random() % std::size(kPieces)]);
    parsed += ParseFhirJson(json).ok();
  }
  EXPECT_GT(parsed, 0);
  EXPECT_LT(parsed, 3000);
}

// Returns the values of a document's answers as JSON, in the order of the form.
void CollectAnswers(const nlohmann::json& element, nlohmann::json* values) {
  if (element.contains("answer")) {
    for (const auto& answer : element["answer"]) {
      for (const auto& [name, value] : answer.items()) {
        if (!name.starts_with("value")) continue;
        values->push_back({{"link_id", element["linkId"]}, {"value", value}});
      }
      if (answer.contains("item")) {
        for (const auto& child : answer["item"]) CollectAnswers(child, values);
      }
    }
  }
  if (element.contains("item")) {
    for (const auto& child : element["item"]) CollectAnswers(child, values);
  }
}

// Expects a row with the same value for each answer of the document.
void ExpectSameAnswers(const std::string& json, const FhirResponse& parsed) {
  nlohmann::json expected = nlohmann::json::array();
  CollectAnswers(nlohmann::json::parse(json), &expected);
  const auto rows = nlohmann::json::parse(
      AnswersJson(parsed.response.SerializeAsString()).value_or(""));
  ASSERT_EQ(rows.size(), expected.size());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    EXPECT_EQ(rows[i]["link_id"], expected[i]["link_id"]);
    nlohmann::json value = expected[i]["value"];
    const std::string type = rows[i]["type"];
    if (type == "coding")
      value = value.contains("code") ? value["code"] : value["display"];
    if (type == "quantity") value = value["value"];
    if (type == "reference") value = value["reference"];
    if (type == "attachment") continue;
    const bool is_decimal = type == "decimal" || type == "quantity";
    EXPECT_EQ(rows[i]["value"],
              is_decimal ? nlohmann::json(value.dump()) : value);
  }
}

void ExpectFileMaps(const std::filesystem::path& path) {
  SCOPED_TRACE(path.filename());
  const std::string json = ReadFile(path);
  const auto parsed = ParseFhirJson(json);
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  ExpectSameAnswers(json, *parsed);
}

TEST(SamplesTest, ResponsesMapWithoutLoss) {
  const auto files = Files(std::filesystem::path(SLUICE_SOURCE_DIR) / "samples",
                           ".response.json");
  EXPECT_GE(files.size(), 4u);
  for (const auto& path : files) {
    ExpectFileMaps(path);
    const FhirResponse parsed = Parse(ReadFile(path));
    SCOPED_TRACE(path.filename());
    EXPECT_THAT(parsed.left_out, IsEmpty());
    EXPECT_EQ(parsed.id.size(), 36u);
    EXPECT_TRUE(ParseInstant(parsed.response.authored()).has_value());
    EXPECT_EQ(parsed.response.status(), QuestionnaireResponse::COMPLETED);
    EXPECT_TRUE(parsed.response.subject().reference().starts_with("Patient/"));
  }
}

void CollectLinkIds(const nlohmann::json& element,
                    std::vector<std::string>* link_ids) {
  if (!element.contains("item")) return;
  for (const auto& child : element["item"]) {
    link_ids->push_back(child["linkId"]);
    CollectLinkIds(child, link_ids);
  }
}

TEST(SamplesTest, ResponsesAnswerTheirQuestionnaire) {
  const auto folder = std::filesystem::path(SLUICE_SOURCE_DIR) / "samples";
  for (const std::string form : {"phq-9", "gad-7"}) {
    const auto questionnaire = nlohmann::json::parse(
        ReadFile(folder / (form + ".questionnaire.json")));
    const std::string canonical = questionnaire["url"].get<std::string>() +
                                  "|" +
                                  questionnaire["version"].get<std::string>();
    std::vector<std::string> asked;
    CollectLinkIds(questionnaire, &asked);
    int responses = 0;
    for (const auto& path : Files(folder, ".response.json")) {
      if (!path.filename().native().starts_with(form)) continue;
      ++responses;
      const FhirResponse parsed = Parse(ReadFile(path));
      EXPECT_EQ(parsed.response.questionnaire(), canonical);
      for (const auto& item : parsed.response.item()) {
        EXPECT_THAT(asked, testing::Contains(item.link_id()));
      }
    }
    EXPECT_GE(responses, 2);
  }
}

// Reads real FHIR data, if this machine has any.
class FhirDataTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const char* folder = std::getenv("SLUICE_FHIR_DIR");
    folder_ = folder != nullptr
                  ? std::filesystem::path(folder)
                  : std::filesystem::path(SLUICE_SOURCE_DIR) / "../shared/fhir";
    if (!std::filesystem::is_directory(folder_ / "pairs")) {
      GTEST_SKIP() << "no FHIR data in " << folder_;
    }
  }

  std::filesystem::path folder_;
};

TEST_F(FhirDataTest, PairsMapAnswerByAnswer) {
  const auto files = Files(folder_ / "pairs", ".qr.json");
  EXPECT_FALSE(files.empty());
  for (const auto& path : files) ExpectFileMaps(path);
}

TEST_F(FhirDataTest, KnowsWhatThePairsLeaveOut) {
  EXPECT_THAT(
      Parse(ReadFile(folder_ / "pairs/gcs.qr.json")).left_out,
      UnorderedElementsAre("text", "item.answer.valueCoding.extension"));
  EXPECT_THAT(Parse(ReadFile(folder_ / "pairs/mypain.qr.json")).left_out,
              ElementsAre("meta"));
}

TEST_F(FhirDataTest, FormsLabResponsesMapOrSayWhyNot) {
  const auto files = Files(folder_ / "forms-lab", "-qr.json");
  EXPECT_FALSE(files.empty());
  for (const auto& path : files) {
    if (path.filename() == "open-choice-invalid-type-qr.json") {
      EXPECT_EQ(Error(ReadFile(path)),
                "item[0].answer[0].valueCode: not a type of answer in FHIR R4");
    } else {
      ExpectFileMaps(path);
    }
  }
}

}  // namespace
}  // namespace sluice
