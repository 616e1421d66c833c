#include "forms/answers.h"

#include <algorithm>
#include <cstddef>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "forms/json_text.h"

namespace sluice {
namespace {

using v1::QuestionnaireResponse;

// Writes one row. Members appear in the order of the calls; empty members are
// left out.
class Row {
 public:
  Row(std::string_view link_id, std::string_view type, std::string& out)
      : out_(out) {
    out_ += out_.back() == '}' ? ",{" : "{";
    if (!link_id.empty()) {
      out_ += R"("link_id":)";
      AppendJsonString(link_id, out_);
      out_ += ',';
    }
    out_ += R"("type":")";
    out_ += type;
    out_ += '"';
  }
  ~Row() { out_ += '}'; }
  Row(const Row&) = delete;
  Row& operator=(const Row&) = delete;

  void Value(std::string_view value) { Member(R"(,"value":)", value); }
  void Display(std::string_view display) { Member(R"(,"display":)", display); }
  void System(std::string_view system) { Member(R"(,"system":)", system); }
  void Unit(std::string_view unit) { Member(R"(,"unit":)", unit); }
  void Comparator(std::string_view comparator) {
    Member(R"(,"comparator":)", comparator);
  }

  // Writes `value` without quotes. It must be a JSON number, true or false.
  void BareValue(absl::AlphaNum value) {
    absl::StrAppend(&out_, R"(,"value":)", value);
  }

 private:
  void Member(std::string_view comma_and_name, std::string_view value) {
    if (value.empty()) return;
    out_ += comma_and_name;
    AppendJsonString(value, out_);
  }

  std::string& out_;
};

std::string_view FirstOf(std::string_view preferred, std::string_view other) {
  return preferred.empty() ? other : preferred;
}

void AppendValue(std::string_view link_id,
                 const QuestionnaireResponse::Answer& answer,
                 std::string& out) {
  using Answer = QuestionnaireResponse::Answer;
  switch (answer.value_case()) {
    case Answer::kBoolean:
      Row(link_id, "boolean", out)
          .BareValue(answer.boolean() ? "true" : "false");
      break;
    case Answer::kDecimal:
      Row(link_id, "decimal", out).Value(answer.decimal());
      break;
    case Answer::kInteger:
      Row(link_id, "integer", out).BareValue(answer.integer());
      break;
    case Answer::kDate:
      Row(link_id, "date", out).Value(answer.date());
      break;
    case Answer::kDateTime:
      Row(link_id, "date_time", out).Value(answer.date_time());
      break;
    case Answer::kTime:
      Row(link_id, "time", out).Value(answer.time());
      break;
    case Answer::kString:
      Row(link_id, "string", out).Value(answer.string());
      break;
    case Answer::kUri:
      Row(link_id, "uri", out).Value(answer.uri());
      break;
    case Answer::kCoding: {
      const v1::Coding& coding = answer.coding();
      Row row(link_id, "coding", out);
      row.Value(FirstOf(coding.code(), coding.display()));
      row.Display(coding.display());
      row.System(coding.system());
      break;
    }
    case Answer::kQuantity: {
      const v1::Quantity& quantity = answer.quantity();
      Row row(link_id, "quantity", out);
      row.Value(quantity.value());
      row.Comparator(quantity.comparator());
      row.Unit(FirstOf(quantity.unit(), quantity.code()));
      break;
    }
    case Answer::kAttachment: {
      const v1::Attachment& attachment = answer.attachment();
      Row(link_id, "attachment", out)
          .Value(FirstOf(attachment.url(), attachment.title()));
      break;
    }
    case Answer::kReference: {
      const v1::Reference& reference = answer.reference();
      Row row(link_id, "reference", out);
      row.Value(FirstOf(reference.reference(), reference.display()));
      row.Display(reference.display());
      break;
    }
    case Answer::VALUE_NOT_SET:
      break;
  }
}

void AppendItem(const QuestionnaireResponse::Item& item, std::string& out) {
  for (const auto& answer : item.answer()) {
    AppendValue(item.link_id(), answer, out);
    for (const auto& child : answer.item()) AppendItem(child, out);
  }
  for (const auto& child : item.item()) AppendItem(child, out);
}

// True if `text` begins with `pattern`, in which 0 stands for any digit.
bool BeginsWith(std::string_view text, std::string_view pattern) {
  return text.size() >= pattern.size() &&
         std::equal(pattern.begin(), pattern.end(), text.begin(),
                    [](char expected, char actual) {
                      return expected == '0'
                                 ? absl::ascii_isdigit(
                                       static_cast<unsigned char>(actual))
                                 : expected == actual;
                    });
}

bool IsOffset(std::string_view text) {
  if (text == "Z") return true;
  if (!BeginsWith(text, "+00:00") && !BeginsWith(text, "-00:00")) return false;
  return text.size() == 6 && text.substr(1) <= "14:00" && text[4] <= '5';
}

// True if `text` follows the grammar of a FHIR dateTime with time and offset.
bool IsInstant(std::string_view text) {
  constexpr std::string_view kSeconds = "0000-00-00T00:00:00";
  if (!BeginsWith(text, kSeconds) || text.substr(0, 4) == "0000") return false;
  text.remove_prefix(kSeconds.size());
  if (BeginsWith(text, ".0")) {
    text.remove_prefix(1);
    while (BeginsWith(text, "0")) text.remove_prefix(1);
  }
  return IsOffset(text);
}

}  // namespace

std::string AnswersJson(const QuestionnaireResponse& response) {
  // Enough bytes for most rows. The total is bounded because a response may
  // have millions of items without an answer.
  constexpr std::size_t kAnswerBytes = 160;
  constexpr std::size_t kReservedMaxBytes = std::size_t{64} << 10;
  std::string out;
  out.reserve(
      std::min(static_cast<std::size_t>(response.item_size()) * kAnswerBytes,
               kReservedMaxBytes));
  out += '[';
  for (const auto& item : response.item()) AppendItem(item, out);
  out += ']';
  return out;
}

std::string_view StatusCode(QuestionnaireResponse::Status status) {
  switch (status) {
    case QuestionnaireResponse::IN_PROGRESS:
      return "in-progress";
    case QuestionnaireResponse::COMPLETED:
      return "completed";
    case QuestionnaireResponse::AMENDED:
      return "amended";
    case QuestionnaireResponse::ENTERED_IN_ERROR:
      return "entered-in-error";
    case QuestionnaireResponse::STOPPED:
      return "stopped";
    default:
      return "";
  }
}

std::optional<absl::Time> ParseInstant(std::string_view date_time) {
  // The time library also accepts text that FHIR forbids: spaces,
  // "infinite-future", years of any length. Check the grammar first.
  if (!IsInstant(date_time)) return std::nullopt;
  absl::Time time;
  std::string ignored_error;
  if (!absl::ParseTime(absl::RFC3339_full,
                       absl::string_view(date_time.data(), date_time.size()),
                       &time, &ignored_error)) {
    return std::nullopt;
  }
  return time;
}

}  // namespace sluice
