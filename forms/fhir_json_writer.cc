#include "forms/fhir_json_writer.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "forms/answers.h"
#include "forms/json_text.h"
#include "google/protobuf/timestamp.pb.h"

namespace sluice {
namespace {

using v1::QuestionnaireResponse;

constexpr char kUrn[] = "urn:sluice:";
constexpr std::size_t kFhirIdMax = 64;

void MemberUnlessEmpty(JsonWriter& json, std::string_view name,
                       std::string_view value) {
  if (!value.empty()) json.Member(name, value);
}

std::string Base64(std::string_view bytes) {
  return absl::Base64Escape(absl::string_view(bytes.data(), bytes.size()));
}

// --- Extensions: https://hl7.org/fhir/R4/extensibility.html

void StringExtension(JsonWriter& json, std::string_view url,
                     std::string_view value) {
  if (value.empty()) return;
  json.BeginObject();
  json.Member("url", url);
  json.Member("valueString", value);
  json.EndObject();
}

void InstantExtension(JsonWriter& json, std::string_view url, absl::Time time) {
  json.BeginObject();
  json.Member("url", url);
  json.Member("valueInstant", absl::FormatTime("%E4Y-%m-%dT%H:%M:%E6SZ", time,
                                               absl::UTCTimeZone()));
  json.EndObject();
}

// Writes times of the years 1 to 9999. Other times are left out, because FHIR
// cannot express them.
void InstantExtension(JsonWriter& json, std::string_view url,
                      const google::protobuf::Timestamp& timestamp) {
  static const absl::Time kFirst =
      absl::FromCivil(absl::CivilYear(1), absl::UTCTimeZone());
  static const absl::Time kEnd =
      absl::FromCivil(absl::CivilYear(10000), absl::UTCTimeZone());
  const absl::Time time = absl::FromUnixSeconds(timestamp.seconds()) +
                          absl::Nanoseconds(timestamp.nanos());
  if (time >= kFirst && time < kEnd) InstantExtension(json, url, time);
}

std::string Url(const char* name) { return absl::StrCat(kUrn, name); }

void BeginExtensionOf(JsonWriter& json, const char* name) {
  json.BeginObject();
  json.Member("url", Url(name));
  json.Name("extension");
  json.BeginArray();
}

void EndExtension(JsonWriter& json) {
  json.EndArray();
  json.EndObject();
}

void WriteCapture(JsonWriter& json, const v1::Capture& capture) {
  BeginExtensionOf(json, "capture");
  StringExtension(json, "device", capture.device());
  StringExtension(json, "app_version", capture.app_version());
  if (capture.has_started_at()) {
    InstantExtension(json, "started_at", capture.started_at());
  }
  if (capture.has_completed_at()) {
    InstantExtension(json, "completed_at", capture.completed_at());
  }
  EndExtension(json);
}

void WriteQuarantine(JsonWriter& json,
                     const FhirProvenance::Quarantine& quarantine) {
  BeginExtensionOf(json, "quarantine");
  StringExtension(json, "reason", quarantine.reason);
  json.BeginObject();
  json.Member("url", "tries");
  json.BareMember("valueInteger", absl::StrCat(quarantine.tries));
  json.EndObject();
  InstantExtension(json, "quarantined_at", quarantine.quarantined_at);
  EndExtension(json);
}

// True if `capture` has anything to write. FHIR forbids empty arrays, and an
// extension without a value must contain extensions.
bool SaysSomething(const v1::Capture& capture) {
  return !capture.device().empty() || !capture.app_version().empty() ||
         capture.has_started_at() || capture.has_completed_at();
}

void WriteExtensions(JsonWriter& json, const v1::SubmitRequest& request,
                     const FhirProvenance& provenance) {
  json.Name("extension");
  json.BeginArray();
  StringExtension(json, Url("study_id"), request.study_id());
  StringExtension(json, Url("site_id"), request.site_id());
  if (provenance.sequence != 0) {
    StringExtension(json, Url("sequence"), absl::StrCat(provenance.sequence));
  }
  if (provenance.received_at.has_value()) {
    InstantExtension(json, Url("received_at"), *provenance.received_at);
  }
  StringExtension(json, Url("supersedes_submission_id"),
                  request.supersedes_submission_id());
  StringExtension(json, Url("reason_for_change"), request.reason_for_change());
  if (SaysSomething(request.capture())) WriteCapture(json, request.capture());
  if (provenance.quarantine.has_value()) {
    WriteQuarantine(json, *provenance.quarantine);
  }
  json.EndArray();
}

// --- The mapping: https://hl7.org/fhir/R4/datatypes.html

// True if JSON readers, which keep numbers as doubles, accept `value`.
bool IsReadableNumber(std::string_view value) {
  double number = 0;
  return IsJsonNumber(value) &&
         absl::SimpleAtod(absl::string_view(value.data(), value.size()),
                          &number) &&
         std::isfinite(number);
}

void WriteDecimal(JsonWriter& json, const char* name, std::string_view value) {
  if (IsReadableNumber(value)) return json.BareMember(name, value);
  json.Name(absl::StrCat("_", name));
  json.BeginObject();
  json.Name("extension");
  json.BeginArray();
  json.BeginObject();
  json.Member("url", Url("decimal_as_sent"));
  json.Member("valueString", value);
  json.EndObject();
  json.EndArray();
  json.EndObject();
}

void WriteCoding(JsonWriter& json, const v1::Coding& coding) {
  json.BeginObject();
  MemberUnlessEmpty(json, "system", coding.system());
  MemberUnlessEmpty(json, "version", coding.version());
  MemberUnlessEmpty(json, "code", coding.code());
  MemberUnlessEmpty(json, "display", coding.display());
  if (coding.has_user_selected()) {
    json.BareMember("userSelected", coding.user_selected() ? "true" : "false");
  }
  json.EndObject();
}

void WriteQuantity(JsonWriter& json, const v1::Quantity& quantity) {
  json.BeginObject();
  if (!quantity.value().empty()) WriteDecimal(json, "value", quantity.value());
  MemberUnlessEmpty(json, "comparator", quantity.comparator());
  MemberUnlessEmpty(json, "unit", quantity.unit());
  MemberUnlessEmpty(json, "system", quantity.system());
  MemberUnlessEmpty(json, "code", quantity.code());
  json.EndObject();
}

void WriteAttachment(JsonWriter& json, const v1::Attachment& attachment) {
  json.BeginObject();
  MemberUnlessEmpty(json, "contentType", attachment.content_type());
  MemberUnlessEmpty(json, "language", attachment.language());
  MemberUnlessEmpty(json, "data", Base64(attachment.data()));
  MemberUnlessEmpty(json, "url", attachment.url());
  if (attachment.has_size()) {
    json.BareMember("size", absl::StrCat(attachment.size()));
  }
  MemberUnlessEmpty(json, "hash", Base64(attachment.hash()));
  MemberUnlessEmpty(json, "title", attachment.title());
  MemberUnlessEmpty(json, "creation", attachment.creation());
  json.EndObject();
}

void WriteReference(JsonWriter& json, const v1::Reference& reference) {
  json.BeginObject();
  MemberUnlessEmpty(json, "reference", reference.reference());
  MemberUnlessEmpty(json, "type", reference.type());
  MemberUnlessEmpty(json, "display", reference.display());
  json.EndObject();
}

void WriteValue(JsonWriter& json, const QuestionnaireResponse::Answer& answer) {
  using Answer = QuestionnaireResponse::Answer;
  switch (answer.value_case()) {
    case Answer::kBoolean:
      json.BareMember("valueBoolean", answer.boolean() ? "true" : "false");
      break;
    case Answer::kDecimal:
      WriteDecimal(json, "valueDecimal", answer.decimal());
      break;
    case Answer::kInteger:
      json.BareMember("valueInteger", absl::StrCat(answer.integer()));
      break;
    case Answer::kDate:
      json.Member("valueDate", answer.date());
      break;
    case Answer::kDateTime:
      json.Member("valueDateTime", answer.date_time());
      break;
    case Answer::kTime:
      json.Member("valueTime", answer.time());
      break;
    case Answer::kString:
      json.Member("valueString", answer.string());
      break;
    case Answer::kUri:
      json.Member("valueUri", answer.uri());
      break;
    case Answer::kCoding:
      json.Name("valueCoding");
      WriteCoding(json, answer.coding());
      break;
    case Answer::kQuantity:
      json.Name("valueQuantity");
      WriteQuantity(json, answer.quantity());
      break;
    case Answer::kAttachment:
      json.Name("valueAttachment");
      WriteAttachment(json, answer.attachment());
      break;
    case Answer::kReference:
      json.Name("valueReference");
      WriteReference(json, answer.reference());
      break;
    case Answer::VALUE_NOT_SET:
      break;
  }
}

using Items = google::protobuf::RepeatedPtrField<QuestionnaireResponse::Item>;

void WriteItems(JsonWriter& json, const Items& items);

void WriteAnswer(JsonWriter& json,
                 const QuestionnaireResponse::Answer& answer) {
  json.BeginObject();
  WriteValue(json, answer);
  WriteItems(json, answer.item());
  json.EndObject();
}

void WriteItem(JsonWriter& json, const QuestionnaireResponse::Item& item) {
  json.BeginObject();
  MemberUnlessEmpty(json, "linkId", item.link_id());
  MemberUnlessEmpty(json, "text", item.text());
  if (!item.answer().empty()) {
    json.Name("answer");
    json.BeginArray();
    for (const auto& answer : item.answer()) WriteAnswer(json, answer);
    json.EndArray();
  }
  WriteItems(json, item.item());
  json.EndObject();
}

void WriteItems(JsonWriter& json, const Items& items) {
  if (items.empty()) return;
  json.Name("item");
  json.BeginArray();
  for (const auto& item : items) WriteItem(json, item);
  json.EndArray();
}

void WriteResponse(JsonWriter& json, const QuestionnaireResponse& response) {
  MemberUnlessEmpty(json, "questionnaire", response.questionnaire());
  MemberUnlessEmpty(json, "status", StatusCode(response.status()));
  if (response.has_subject()) {
    json.Name("subject");
    WriteReference(json, response.subject());
  }
  MemberUnlessEmpty(json, "authored", response.authored());
  if (response.has_author()) {
    json.Name("author");
    WriteReference(json, response.author());
  }
  if (response.has_source()) {
    json.Name("source");
    WriteReference(json, response.source());
  }
  WriteItems(json, response.item());
}

// --- The resource's own ids

// Keeps the characters that RFC 3986 calls unreserved, and encodes all others.
std::string PercentEncoded(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (absl::ascii_isalnum(byte) || c == '-' || c == '.' || c == '_' ||
        c == '~') {
      out += c;
    } else {
      absl::StrAppendFormat(&out, "%%%02X", byte);
    }
  }
  return out;
}

void WriteIdentifier(JsonWriter& json, const v1::SubmitRequest& request) {
  json.Name("identifier");
  json.BeginObject();
  json.Member("system",
              absl::StrCat(kUrn, "study:", PercentEncoded(request.study_id())));
  json.Member("value", request.submission_id());
  json.EndObject();
}

}  // namespace

bool IsFhirId(std::string_view text) {
  return !text.empty() && text.size() <= kFhirIdMax &&
         std::ranges::all_of(text, [](unsigned char c) {
           return absl::ascii_isalnum(c) || c == '-' || c == '.';
         });
}

std::string ToFhirJson(const v1::SubmitRequest& request,
                       const FhirProvenance& provenance) {
  std::string out;
  JsonWriter json(out);
  json.BeginObject();
  json.Member("resourceType", "QuestionnaireResponse");
  if (IsFhirId(request.submission_id())) {
    json.Member("id", request.submission_id());
  }
  WriteExtensions(json, request, provenance);
  WriteIdentifier(json, request);
  WriteResponse(json, request.response());
  json.EndObject();
  return out;
}

}  // namespace sluice
