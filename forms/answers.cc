#include "forms/answers.h"

#include <algorithm>
#include <array>
#include <cstddef>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "forms/json_text.h"
#include "forms/wire_reader.h"

namespace sluice {
namespace {

using v1::QuestionnaireResponse;
using wire::FieldReader;
using wire::LengthDelimitedTag;
using wire::VarintTag;
using ItemProto = QuestionnaireResponse::Item;
using AnswerProto = QuestionnaireResponse::Answer;

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

// The value of an answer. A text or a number has `text` or `number`. A message
// (coding, quantity, ...) has its strings in `parts`, by field number.
struct Value {
  std::uint32_t tag = 0;  // of the answer's field; 0: no value
  std::string_view text{};
  std::uint64_t number = 0;
  std::array<std::string_view, 9> parts{};

  std::string_view Part(int field) const {
    return parts[static_cast<std::size_t>(field)];
  }
};

static_assert(v1::Coding::kDisplayFieldNumber < 9);
static_assert(v1::Quantity::kCodeFieldNumber < 9);
static_assert(v1::Attachment::kTitleFieldNumber < 9);
static_assert(v1::Reference::kDisplayFieldNumber < 9);

// Reads a message into the parts of `value`. If the message came in several
// parts, later strings replace earlier ones, as in every protobuf parser.
bool MergeParts(std::string_view message, Value* value) {
  FieldReader fields(message);
  while (fields.Next()) {
    const std::uint32_t number = wire::NumberOf(fields.tag());
    if (number < value->parts.size() &&
        wire::WireTypeOf(fields.tag()) == wire::kLengthDelimited) {
      value->parts[number] = fields.content();
    }
  }
  return fields.ok();
}

void AppendRow(std::string_view link_id, const Value& value, std::string& out) {
  switch (value.tag) {
    case VarintTag(AnswerProto::kBooleanFieldNumber):
      Row(link_id, "boolean", out)
          .BareValue(value.number != 0 ? "true" : "false");
      break;
    case LengthDelimitedTag(AnswerProto::kDecimalFieldNumber):
      Row(link_id, "decimal", out).Value(value.text);
      break;
    case VarintTag(AnswerProto::kIntegerFieldNumber):
      Row(link_id, "integer", out)
          .BareValue(static_cast<std::int64_t>(value.number));
      break;
    case LengthDelimitedTag(AnswerProto::kDateFieldNumber):
      Row(link_id, "date", out).Value(value.text);
      break;
    case LengthDelimitedTag(AnswerProto::kDateTimeFieldNumber):
      Row(link_id, "date_time", out).Value(value.text);
      break;
    case LengthDelimitedTag(AnswerProto::kTimeFieldNumber):
      Row(link_id, "time", out).Value(value.text);
      break;
    case LengthDelimitedTag(AnswerProto::kStringFieldNumber):
      Row(link_id, "string", out).Value(value.text);
      break;
    case LengthDelimitedTag(AnswerProto::kUriFieldNumber):
      Row(link_id, "uri", out).Value(value.text);
      break;
    case LengthDelimitedTag(AnswerProto::kCodingFieldNumber): {
      using v1::Coding;
      const auto display = value.Part(Coding::kDisplayFieldNumber);
      Row row(link_id, "coding", out);
      row.Value(FirstOf(value.Part(Coding::kCodeFieldNumber), display));
      row.Display(display);
      row.System(value.Part(Coding::kSystemFieldNumber));
      break;
    }
    case LengthDelimitedTag(AnswerProto::kQuantityFieldNumber): {
      using v1::Quantity;
      Row row(link_id, "quantity", out);
      row.Value(value.Part(Quantity::kValueFieldNumber));
      row.Comparator(value.Part(Quantity::kComparatorFieldNumber));
      row.Unit(FirstOf(value.Part(Quantity::kUnitFieldNumber),
                       value.Part(Quantity::kCodeFieldNumber)));
      break;
    }
    case LengthDelimitedTag(AnswerProto::kAttachmentFieldNumber): {
      using v1::Attachment;
      Row(link_id, "attachment", out)
          .Value(FirstOf(value.Part(Attachment::kUrlFieldNumber),
                         value.Part(Attachment::kTitleFieldNumber)));
      break;
    }
    case LengthDelimitedTag(AnswerProto::kReferenceFieldNumber): {
      using v1::Reference;
      const auto display = value.Part(Reference::kDisplayFieldNumber);
      Row row(link_id, "reference", out);
      row.Value(FirstOf(value.Part(Reference::kReferenceFieldNumber), display));
      row.Display(display);
      break;
    }
    default:
      break;
  }
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

AnswerRows::AnswerRows(std::string* json, std::size_t bytes_hint,
                       std::size_t bytes_max)
    : json_(*json), bytes_max_(bytes_max) {
  // The hint is bounded because a large response may have no answers.
  constexpr std::size_t kReservedMaxBytes = std::size_t{64} << 10;
  json_ = "[";
  json_.reserve(std::min(bytes_hint, kReservedMaxBytes));
}

void AnswerRows::End() { json_ += ']'; }

// Fields may come in any order: the link id may follow the answers that need
// it, and items may precede the answers that come first in the rows. Each level
// is therefore read once for the link id, and again for answers and for items
// if it has any. A field costs at most three reads, whatever its depth.
bool AnswerRows::AddItem(std::string_view item, int depth) {
  if (depth > kDepthMax) return false;
  std::string_view link_id;
  bool has_answers = false;
  bool has_items = false;
  FieldReader fields(item);
  while (fields.Next()) {
    switch (fields.tag()) {
      case LengthDelimitedTag(ItemProto::kLinkIdFieldNumber):
        link_id = fields.content();
        break;
      case LengthDelimitedTag(ItemProto::kAnswerFieldNumber):
        has_answers = true;
        break;
      case LengthDelimitedTag(ItemProto::kItemFieldNumber):
        has_items = true;
        break;
      default:
        break;
    }
  }
  if (!fields.ok()) return false;
  if (has_answers) {
    FieldReader answers(item);
    while (answers.Next()) {
      if (answers.tag() == LengthDelimitedTag(ItemProto::kAnswerFieldNumber) &&
          !AddAnswer(link_id, answers.content(), depth + 1)) {
        return false;
      }
    }
  }
  return !has_items ||
         AddItems(item, LengthDelimitedTag(ItemProto::kItemFieldNumber),
                  depth + 1);
}

bool AnswerRows::AddAnswer(std::string_view link_id, std::string_view answer,
                           int depth) {
  if (depth > kDepthMax) return false;
  Value value;
  bool has_items = false;
  FieldReader fields(answer);
  while (fields.Next()) {
    switch (fields.tag()) {
      case VarintTag(AnswerProto::kBooleanFieldNumber):
      case VarintTag(AnswerProto::kIntegerFieldNumber):
        value = {.tag = fields.tag(), .number = fields.number()};
        break;
      case LengthDelimitedTag(AnswerProto::kDecimalFieldNumber):
      case LengthDelimitedTag(AnswerProto::kDateFieldNumber):
      case LengthDelimitedTag(AnswerProto::kDateTimeFieldNumber):
      case LengthDelimitedTag(AnswerProto::kTimeFieldNumber):
      case LengthDelimitedTag(AnswerProto::kStringFieldNumber):
      case LengthDelimitedTag(AnswerProto::kUriFieldNumber):
        value = {.tag = fields.tag(), .text = fields.content()};
        break;
      case LengthDelimitedTag(AnswerProto::kCodingFieldNumber):
      case LengthDelimitedTag(AnswerProto::kQuantityFieldNumber):
      case LengthDelimitedTag(AnswerProto::kAttachmentFieldNumber):
      case LengthDelimitedTag(AnswerProto::kReferenceFieldNumber):
        // A message is merged with an earlier part of the same message, and
        // replaces any other value of the oneof.
        if (value.tag != fields.tag()) value = {.tag = fields.tag()};
        if (!MergeParts(fields.content(), &value)) return false;
        break;
      case LengthDelimitedTag(AnswerProto::kItemFieldNumber):
        has_items = true;
        break;
      default:
        break;
    }
  }
  if (!fields.ok()) return false;
  AppendRow(link_id, value, json_);
  if (json_.size() > bytes_max_) return false;
  return !has_items ||
         AddItems(answer, LengthDelimitedTag(AnswerProto::kItemFieldNumber),
                  depth + 1);
}

bool AnswerRows::AddItems(std::string_view message, std::uint32_t tag,
                          int depth) {
  FieldReader fields(message);
  while (fields.Next()) {
    if (fields.tag() == tag && !AddItem(fields.content(), depth)) return false;
  }
  return fields.ok();
}

std::optional<std::string> AnswersJson(std::string_view response) {
  constexpr std::uint32_t kItem =
      LengthDelimitedTag(QuestionnaireResponse::kItemFieldNumber);
  std::string json;
  AnswerRows rows(&json, response.size());
  FieldReader fields(response);
  while (fields.Next()) {
    if (fields.tag() == kItem && !rows.AddItem(fields.content())) {
      return std::nullopt;
    }
  }
  if (!fields.ok()) return std::nullopt;
  rows.End();
  return json;
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
