#include "forms/fhir_json_writer.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "forms/fhir_json.h"
#include "gmock/gmock.h"
#include "google/protobuf/text_format.h"
#include "google/protobuf/util/message_differencer.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"

namespace sluice {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using v1::QuestionnaireResponse;

constexpr char kNow[] = "2026-03-01T19:15:00.123456Z";

absl::Time Time(const char* text) {
  absl::Time time;
  EXPECT_TRUE(absl::ParseTime(absl::RFC3339_full, text, &time, nullptr));
  return time;
}

v1::SubmitRequest Request(const std::string& text) {
  v1::SubmitRequest request;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &request));
  return request;
}

// Writes the response and returns the parsed resource.
FhirResponse WriteAndParse(const QuestionnaireResponse& response) {
  v1::SubmitRequest request;
  request.set_study_id("S");
  request.set_submission_id("id-1");
  *request.mutable_response() = response;
  const std::string json = ToFhirJson(request, {.sequence = 1});
  EXPECT_EQ(json.find('\n'), std::string::npos);
  const auto parsed = ParseFhirJson(json);
  EXPECT_TRUE(parsed.ok()) << parsed.status() << "\n" << json;
  return parsed.ok() ? *parsed : FhirResponse();
}

void ExpectRoundTrip(const QuestionnaireResponse& response) {
  const FhirResponse parsed = WriteAndParse(response);
  EXPECT_TRUE(google::protobuf::util::MessageDifferencer::Equals(
      parsed.response, response))
      << response.DebugString() << "\nbecame\n"
      << parsed.response.DebugString();
  EXPECT_EQ(parsed.id, "id-1");
  EXPECT_THAT(parsed.left_out, ElementsAre("extension", "identifier"));
}

std::string AnswerJson(const std::string& answer) {
  const v1::SubmitRequest request =
      Request("response { item { link_id: '1' answer { " + answer + " } } }");
  const auto json = nlohmann::json::parse(ToFhirJson(request, {}));
  return json["item"][0]["answer"][0].dump();
}

std::string ReadFile(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// Reads, writes and reads again each response in the folder. Returns the number
// of responses.
int RoundTripFiles(const std::filesystem::path& folder,
                   const std::string& suffix) {
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (!entry.path().native().ends_with(suffix)) continue;
    SCOPED_TRACE(entry.path());
    const auto parsed = ParseFhirJson(ReadFile(entry.path()));
    EXPECT_TRUE(parsed.ok()) << parsed.status();
    if (parsed.ok()) ExpectRoundTrip(parsed->response);
    ++files;
  }
  return files;
}

// Fills messages by their descriptors, so that no new field is forgotten.
class Filler {
 public:
  explicit Filler(unsigned seed, double share) : random_(seed), share_(share) {}

  void Fill(google::protobuf::Message* message, int depth) {
    const auto* descriptor = message->GetDescriptor();
    for (int i = 0; i < descriptor->field_count(); ++i) {
      const auto* field = descriptor->field(i);
      if (field->real_containing_oneof() == nullptr) {
        MaybeSet(message, field, depth);
      }
    }
    for (int i = 0; i < descriptor->real_oneof_decl_count(); ++i) {
      const auto* oneof = descriptor->oneof_decl(i);
      MaybeSet(message,
               oneof->field(static_cast<int>(
                   random_() % static_cast<unsigned>(oneof->field_count()))),
               depth);
    }
  }

 private:
  using Field = google::protobuf::FieldDescriptor;

  bool Chance() { return std::bernoulli_distribution(share_)(random_); }

  void MaybeSet(google::protobuf::Message* message, const Field* field,
                int depth) {
    if (!Chance()) return;
    const auto* reflection = message->GetReflection();
    if (field->is_repeated()) {
      if (depth == 0) return;
      for (unsigned n = 1 + random_() % 2; n > 0; --n) {
        Fill(reflection->AddMessage(message, field), depth - 1);
      }
      return;
    }
    switch (field->cpp_type()) {
      case Field::CPPTYPE_MESSAGE:
        Fill(reflection->MutableMessage(message, field), depth);
        break;
      case Field::CPPTYPE_STRING:
        reflection->SetString(message, field, Text(*field));
        break;
      case Field::CPPTYPE_BOOL:
        reflection->SetBool(message, field, random_() % 2 == 0);
        break;
      case Field::CPPTYPE_INT64:
        reflection->SetInt64(message, field,
                             static_cast<std::int64_t>(
                                 (std::uint64_t{random_()} << 32) | random_()));
        break;
      case Field::CPPTYPE_ENUM:
        reflection->SetEnumValue(message, field,
                                 static_cast<int>(1 + random_() % 5));
        break;
      default:
        ADD_FAILURE() << "no value for " << field->full_name();
    }
  }

  std::string Text(const Field& field) {
    // Use only decimals that JSON can express.
    if (field.name() == "decimal" ||
        field.full_name().ends_with("Quantity.value")) {
      return Pick({"0", "-0.00", "1.10", "12345678901234567890.5", "1E+3"});
    }
    if (field.type() == Field::TYPE_BYTES) {
      return std::string("\x00\xff\x10\x80", 1 + random_() % 4);
    }
    return Pick({"x", "a \"quoted\" \\ text", "line\nline\ttab",
                 "\xc3\xa4\xe2\x82\xac\xf0\x9f\x99\x82", "1.0", "=1+1"});
  }

  std::string Pick(const std::vector<std::string>& texts) {
    return texts[random_() % texts.size()];
  }

  std::mt19937 random_;
  const double share_;
};

TEST(FhirJsonWriterTest, WhatIsWrittenIsReadBackWithEveryField) {
  for (unsigned seed = 0; seed < 50; ++seed) {
    QuestionnaireResponse response;
    Filler(seed, 1.0).Fill(&response, 3);
    ExpectRoundTrip(response);
  }
}

TEST(FhirJsonWriterTest, WhatIsWrittenIsReadBackWithSomeFields) {
  for (unsigned seed = 0; seed < 500; ++seed) {
    QuestionnaireResponse response;
    Filler(seed, 0.6).Fill(&response, 4);
    ExpectRoundTrip(response);
  }
}

TEST(FhirJsonWriterTest, TheDeepestResponseIsReadBack) {
  QuestionnaireResponse response;
  auto* item = response.add_item();
  // Start at 4: two levels of messages enclose the first item.
  for (int level = 4; level <= 100; ++level) {
    item->set_link_id("x");
    item = item->add_item();
  }
  ExpectRoundTrip(response);
}

TEST(FhirJsonWriterTest, DecimalsKeepTheirDigits) {
  const v1::SubmitRequest request = Request(R"(
      response { item { link_id: '1'
        answer { decimal: '1.10' }
        answer { quantity { value: '-0.500' unit: 'mg' } } } })");
  const std::string json = ToFhirJson(request, {});
  EXPECT_THAT(json, HasSubstr(R"({"valueDecimal":1.10})"));
  EXPECT_THAT(json,
              HasSubstr(R"({"valueQuantity":{"value":-0.500,"unit":"mg"}})"));
}

TEST(FhirJsonWriterTest, ADecimalThatIsTooLargeForReadersIsKeptAsText) {
  EXPECT_EQ(AnswerJson("decimal: '1e400'"),
            R"({"_valueDecimal":{"extension":[)"
            R"({"url":"urn:sluice:decimal_as_sent","valueString":"1e400"}]}})");
  EXPECT_EQ(AnswerJson("decimal: '1e+300'"), R"({"valueDecimal":1e+300})");
}

TEST(FhirJsonWriterTest, ADecimalThatIsNoNumberIsKeptAsText) {
  EXPECT_EQ(AnswerJson("decimal: 'NaN'"),
            R"({"_valueDecimal":{"extension":[)"
            R"({"url":"urn:sluice:decimal_as_sent","valueString":"NaN"}]}})");
  EXPECT_EQ(AnswerJson("quantity { value: '1,5' unit: 'mg' }"),
            R"({"valueQuantity":{"_value":{"extension":[)"
            R"({"url":"urn:sluice:decimal_as_sent","valueString":"1,5"}]},)"
            R"("unit":"mg"}})");
}

TEST(FhirJsonWriterTest, ValuesAreAsSentAlsoWhereFhirWouldNotTakeThem) {
  EXPECT_EQ(AnswerJson("string: ''"), R"({"valueString":""})");
  EXPECT_EQ(AnswerJson("date: 'yesterday'"), R"({"valueDate":"yesterday"})");
  EXPECT_EQ(AnswerJson("integer: 9223372036854775807"),
            R"({"valueInteger":9223372036854775807})");
  EXPECT_EQ(AnswerJson(""), "{}");
}

TEST(FhirJsonWriterTest, TheIdIsTheResourcesWhereFhirTakesIt) {
  v1::SubmitRequest request = Request("study_id: 'S 1/\xc3\xa4'");
  request.set_submission_id("019caad3-4b20-754d-8a18-2530bb1d6d13");
  auto json = nlohmann::json::parse(ToFhirJson(request, {}));
  EXPECT_EQ(json["id"], "019caad3-4b20-754d-8a18-2530bb1d6d13");
  EXPECT_EQ(json["identifier"]["value"], json["id"]);
  EXPECT_EQ(json["identifier"]["system"], "urn:sluice:study:S%201%2F%C3%A4");

  request.set_submission_id("visit_3");
  json = nlohmann::json::parse(ToFhirJson(request, {}));
  EXPECT_FALSE(json.contains("id"));
  EXPECT_EQ(json["identifier"]["value"], "visit_3");

  EXPECT_TRUE(IsFhirId(std::string(64, 'a')));
  EXPECT_FALSE(IsFhirId(std::string(65, 'a')));
  EXPECT_FALSE(IsFhirId(""));
  EXPECT_FALSE(IsFhirId("\xc3\xa4"));
}

TEST(FhirJsonWriterTest, WhatFhirHasNoElementForAreExtensions) {
  const v1::SubmitRequest request = Request(R"(
      study_id: 'STUDY' site_id: 'SITE' submission_id: 'b'
      supersedes_submission_id: 'a' reason_for_change: 'typo'
      capture { device: 'phone' app_version: '1.2'
                started_at { seconds: 1772392500 nanos: 5000 }
                completed_at { seconds: 1772392560 } })");
  const auto json = nlohmann::json::parse(ToFhirJson(
      request, {.sequence = 9'007'199'254'740'993,
                .received_at = Time(kNow),
                .quarantine = FhirProvenance::Quarantine{
                    .reason = "R", .tries = 3, .quarantined_at = Time(kNow)}}));
  EXPECT_EQ(json["extension"], nlohmann::json::parse(R"([
      {"url": "urn:sluice:study_id", "valueString": "STUDY"},
      {"url": "urn:sluice:site_id", "valueString": "SITE"},
      {"url": "urn:sluice:sequence", "valueString": "9007199254740993"},
      {"url": "urn:sluice:received_at",
       "valueInstant": "2026-03-01T19:15:00.123456Z"},
      {"url": "urn:sluice:supersedes_submission_id", "valueString": "a"},
      {"url": "urn:sluice:reason_for_change", "valueString": "typo"},
      {"url": "urn:sluice:capture", "extension": [
        {"url": "device", "valueString": "phone"},
        {"url": "app_version", "valueString": "1.2"},
        {"url": "started_at", "valueInstant": "2026-03-01T19:15:00.000005Z"},
        {"url": "completed_at", "valueInstant": "2026-03-01T19:16:00.000000Z"}]},
      {"url": "urn:sluice:quarantine", "extension": [
        {"url": "reason", "valueString": "R"},
        {"url": "tries", "valueInteger": 3},
        {"url": "quarantined_at",
         "valueInstant": "2026-03-01T19:15:00.123456Z"}]}])"));
}

TEST(FhirJsonWriterTest, WhatIsEmptyIsLeftOut) {
  EXPECT_EQ(ToFhirJson(Request("study_id: 'S' submission_id: 'x' "
                               "response {} capture {}"),
                       {}),
            R"({"resourceType":"QuestionnaireResponse","id":"x",)"
            R"("extension":[{"url":"urn:sluice:study_id","valueString":"S"}],)"
            R"("identifier":{"system":"urn:sluice:study:S","value":"x"}})");
}

TEST(FhirJsonWriterTest, AnInstantThatFhirCannotWriteIsLeftOut) {
  const std::string json = ToFhirJson(
      Request("study_id: 'S' submission_id: 'x' capture { device: 'd' "
              "started_at { seconds: 9223372036854775807 } "
              "completed_at { seconds: -9223372036854775808 } }"),
      {});
  EXPECT_THAT(json, Not(HasSubstr("valueInstant")));
  EXPECT_TRUE(nlohmann::json::accept(json));
}

TEST(FhirJsonWriterTest, SamplesAreReadBack) {
  EXPECT_GE(RoundTripFiles(std::filesystem::path(SLUICE_SOURCE_DIR) / "samples",
                           ".response.json"),
            4);
}

// Reads real FHIR data, if this machine has any.
TEST(FhirJsonWriterTest, RealResponsesAreReadBack) {
  const char* set = std::getenv("SLUICE_FHIR_DIR");
  const auto folder =
      (set != nullptr
           ? std::filesystem::path(set)
           : std::filesystem::path(SLUICE_SOURCE_DIR) / "../shared/fhir") /
      "pairs";
  if (!std::filesystem::is_directory(folder)) {
    GTEST_SKIP() << "no FHIR data in " << folder;
  }
  EXPECT_GT(RoundTripFiles(folder, ".qr.json"), 0);
}

}  // namespace
}  // namespace sluice
