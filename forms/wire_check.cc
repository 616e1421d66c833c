#include "forms/wire_check.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <limits>
#include <utility>

#include "absl/base/attributes.h"
#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/utf8.h"
#include "forms/wire_reader.h"
#include "google/protobuf/io/coded_stream.h"

namespace sluice {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::OneofDescriptor;

using wire::AsInput;
using wire::AsView;
using wire::FieldReader;
using wire::Input;
using wire::LengthDelimitedTag;
using wire::NumberOf;
using wire::ReadLengthDelimited;
using wire::ReadNumber;
using wire::ReadTag;
using wire::Skip;
using wire::TagOf;
using wire::WireType;
using wire::WireTypeOf;

bool SkipNumber(Input& in) {
  std::uint64_t ignored;
  return ReadNumber(in, ignored);
}

// --- Schemas: the allowed contents of messages.

// The way in which a field is checked; looked up by the field's tag.
enum class Rule : std::uint8_t {
  kBadTag,
  kWrongType,
  kVarint,
  kFixed32,
  kFixed64,
  kString,
  kShortString,
  kBytes,
  kPackedVarint,
  kPackedFixed32,
  kPackedFixed64,
  kMessage,
  kGroup,
  kEndGroup,
};

struct Entry {
  Rule rule = Rule::kBadTag;
  // Bit of the field in the set of fields that have occurred. The fields of a
  // oneof share a bit. A field that may occur more than once has kMayRepeat.
  std::uint8_t bit = 0;
  std::uint16_t child = 0;  // for kMessage: index into WireSchema::children
};

constexpr std::uint8_t kMayRepeat = 0;
constexpr std::uint8_t kBitsMax = 64;

Rule RuleForUnknown(std::uint32_t tag) {
  if (NumberOf(tag) == 0) return Rule::kBadTag;
  switch (WireTypeOf(tag)) {
    case wire::kVarint:
      return Rule::kVarint;
    case wire::kFixed64:
      return Rule::kFixed64;
    case wire::kLengthDelimited:
      return Rule::kBytes;
    case wire::kStartGroup:
      return Rule::kGroup;
    case wire::kEndGroup:
      return Rule::kEndGroup;
    case wire::kFixed32:
      return Rule::kFixed32;
  }
  return Rule::kBadTag;
}

Rule RuleFor(FieldDescriptor::Type type) {
  switch (type) {
    case FieldDescriptor::TYPE_DOUBLE:
    case FieldDescriptor::TYPE_FIXED64:
    case FieldDescriptor::TYPE_SFIXED64:
      return Rule::kFixed64;
    case FieldDescriptor::TYPE_FLOAT:
    case FieldDescriptor::TYPE_FIXED32:
    case FieldDescriptor::TYPE_SFIXED32:
      return Rule::kFixed32;
    case FieldDescriptor::TYPE_STRING:
      return Rule::kString;
    case FieldDescriptor::TYPE_BYTES:
      return Rule::kBytes;
    case FieldDescriptor::TYPE_MESSAGE:
      return Rule::kMessage;
    default:
      return Rule::kVarint;
  }
}

WireType WireTypeFor(Rule rule) {
  switch (rule) {
    case Rule::kVarint:
      return wire::kVarint;
    case Rule::kFixed32:
      return wire::kFixed32;
    case Rule::kFixed64:
      return wire::kFixed64;
    default:
      return wire::kLengthDelimited;
  }
}

Rule PackedRuleFor(Rule rule) {
  switch (rule) {
    case Rule::kFixed32:
      return Rule::kPackedFixed32;
    case Rule::kFixed64:
      return Rule::kPackedFixed64;
    default:
      return Rule::kPackedVarint;
  }
}

}  // namespace

// The fields of one message type. Fields with a tag of one byte (numbers 1 to
// 15) are looked up in an array.
struct WireSchema {
  const Descriptor* type;
  // Place of the type in WireLimits::counted, from 1; 0 if the type is not
  // counted.
  std::size_t counter = 0;
  std::array<Entry, 128> by_tag;
  absl::flat_hash_map<std::uint32_t, Entry> by_wide_tag;
  std::vector<const WireSchema*> children;

  Entry& At(std::uint32_t tag) {
    return tag < by_tag.size() ? by_tag[tag] : by_wide_tag[tag];
  }

  Entry Find(std::uint32_t tag) const {
    if (tag < by_tag.size()) return by_tag[tag];
    const auto found = by_wide_tag.find(tag);
    if (found != by_wide_tag.end()) return found->second;
    return Entry{RuleForUnknown(tag)};
  }
};

namespace {

std::unique_ptr<WireSchema> SchemaWithoutFields(const Descriptor* type) {
  auto schema = std::make_unique<WireSchema>();
  schema->type = type;
  for (std::uint32_t tag = 0; tag < schema->by_tag.size(); ++tag) {
    schema->by_tag[tag].rule = RuleForUnknown(tag);
  }
  return schema;
}

// Returns the bit of a field, and advances `next` if the bit is new.
// `of_oneofs` maps each oneof seen so far to its bit.
std::uint8_t BitFor(
    const FieldDescriptor& field, std::uint8_t* next,
    absl::flat_hash_map<const OneofDescriptor*, std::uint8_t>* of_oneofs) {
  if (field.is_repeated()) return kMayRepeat;
  // No message of the service has more than kBitsMax fields.
  SLUICE_DCHECK(*next < kBitsMax);
  if (*next >= kBitsMax) return kMayRepeat;
  const OneofDescriptor* oneof = field.containing_oneof();
  if (oneof == nullptr) return (*next)++;
  const auto [bit, is_new] = of_oneofs->try_emplace(oneof, *next);
  if (is_new) ++*next;
  return bit->second;
}

void AddField(const FieldDescriptor& field, std::uint8_t bit,
              WireSchema& schema) {
  const auto number = static_cast<std::uint32_t>(field.number());
  for (const WireType wrong :
       {wire::kVarint, wire::kFixed64, wire::kLengthDelimited,
        wire::kStartGroup, wire::kFixed32}) {
    schema.At(TagOf(number, wrong)).rule = Rule::kWrongType;
  }
  const Rule rule = RuleFor(field.type());
  if (field.is_packable()) {
    schema.At(TagOf(number, wire::kLengthDelimited)).rule = PackedRuleFor(rule);
  }
  Entry& entry = schema.At(TagOf(number, WireTypeFor(rule)));
  entry.rule = rule;
  entry.bit = bit;
}

// Returns the place of a type in `counted`, from 1; 0 if the type is not
// counted.
std::size_t CounterOf(const Descriptor* type, const WireLimits& limits) {
  const auto found = std::ranges::find(limits.counted, type);
  return found == limits.counted.end()
             ? 0
             : static_cast<std::size_t>(found - limits.counted.begin()) + 1;
}

// Schema of an unknown group, in which all fields are unknown.
const WireSchema& GroupSchema() {
  static const WireSchema* const schema =
      SchemaWithoutFields(nullptr).release();
  return *schema;
}

// Returns the schemas of `root` and of all message types inside `root`. The
// schema of `root` is first.
std::vector<std::unique_ptr<const WireSchema>> BuildSchemas(
    const Descriptor* root, int unread_field, const WireLimits& limits) {
  std::vector<std::unique_ptr<WireSchema>> schemas;
  absl::flat_hash_map<const Descriptor*, const WireSchema*> known;
  const auto schema_of = [&](const Descriptor* type) {
    const WireSchema*& schema = known[type];
    if (schema == nullptr) {
      schemas.push_back(SchemaWithoutFields(type));
      schemas.back()->counter = CounterOf(type, limits);
      schema = schemas.back().get();
    }
    return schema;
  };

  // Do not add the root to `known`: if its type occurs again further down, that
  // message has no unread field and needs another schema.
  schemas.push_back(SchemaWithoutFields(root));
  for (std::size_t next = 0; next < schemas.size(); ++next) {
    WireSchema& schema = *schemas[next];
    std::uint8_t next_bit = kMayRepeat + 1;
    absl::flat_hash_map<const OneofDescriptor*, std::uint8_t> of_oneofs;
    for (int i = 0; i < schema.type->field_count(); ++i) {
      const FieldDescriptor& field = *schema.type->field(i);
      AddField(field, BitFor(field, &next_bit, &of_oneofs), schema);
      Entry& entry = schema.At(LengthDelimitedTag(field.number()));
      if (&field == limits.short_text) entry.rule = Rule::kShortString;
      if (field.message_type() == nullptr) continue;
      if (next == 0 && field.number() == unread_field) {
        entry.rule = Rule::kBytes;
        continue;
      }
      entry.child = static_cast<std::uint16_t>(schema.children.size());
      schema.children.push_back(schema_of(field.message_type()));
    }
  }
  return {std::make_move_iterator(schemas.begin()),
          std::make_move_iterator(schemas.end())};
}

// --- Walking.

enum class Problem {
  kNone,
  kMalformedTag,
  kMalformedVarint,
  kWrongType,
  kCutOff,
  kUnevenPack,
  kInvalidUtf8,
  kTooDeep,
  kTooMany,
  kTooLong,
  kNoGroupBegin,
  kNoGroupEnd,
  kRepeated,
};

std::string Describe(Problem problem, int max_depth, const WireLimits& limits) {
  switch (problem) {
    case Problem::kNone:
      break;
    case Problem::kMalformedTag:
      return "malformed field tag";
    case Problem::kMalformedVarint:
      return "malformed varint";
    case Problem::kWrongType:
      return "wrong wire type";
    case Problem::kCutOff:
      return "cut off";
    case Problem::kUnevenPack:
      return "not a whole number of packed values";
    case Problem::kInvalidUtf8:
      return "not valid UTF-8";
    case Problem::kTooDeep:
      return absl::StrCat("nested deeper than ", max_depth, " messages");
    case Problem::kTooMany:
      return absl::StrCat("more than ", limits.counted_by, " allows (",
                          limits.counted_max, ")");
    case Problem::kTooLong:
      return absl::StrCat("longer than ", limits.short_text_max_bytes,
                          " bytes");
    case Problem::kNoGroupBegin:
      return "end of a group that did not begin";
    case Problem::kNoGroupEnd:
      return "group without an end";
    case Problem::kRepeated:
      return "given more than once";
  }
  return "";
}

Problem CheckPackedVarints(Input in) {
  while (in.at != in.end) {
    if (!SkipNumber(in)) return Problem::kMalformedVarint;
  }
  return Problem::kNone;
}

bool IsWholePack(Rule rule, Input content) {
  const std::size_t value_bytes = rule == Rule::kPackedFixed32 ? 4 : 8;
  return AsView(content).size() % value_bytes == 0;
}

// Position of a field, from which the path to the field is made.
struct Place {
  const WireSchema& schema;
  const char* message_begin;
  const char* field_begin;
  std::uint32_t tag;
};

// Returns a name such as item[2], or nothing for an unknown field or a field
// with a malformed tag.
std::string NameOf(const Place& place) {
  if (place.schema.type == nullptr) return "";
  const FieldDescriptor* field = place.schema.type->FindFieldByNumber(
      static_cast<int>(NumberOf(place.tag)));
  if (field == nullptr) return "";
  if (!field->is_repeated() || field->is_packable()) return field->name();
  int index = 0;
  FieldReader before(AsView({place.message_begin, place.field_begin}));
  while (before.Next()) {
    if (before.tag() == place.tag) ++index;
  }
  return absl::StrCat(field->name(), "[", index, "]");
}

// One pass over a message. Paths and indices are computed only after a problem
// was found, while the recursion returns. A valid message does not pay for
// them.
class Walk {
 public:
  Walk(int max_depth, const WireLimits& limits)
      : max_depth_(max_depth), limits_(limits) {
    counts_left_.fill(limits.counted_max);
    counts_left_[0] = std::numeric_limits<std::size_t>::max();
  }

  // Checks the fields of a message, or of the unknown group that began with the
  // tag `group` (0: a message). Returns the end of the message or group, or
  // null if there is a problem.
  const char* Fields(const WireSchema& schema, Input in, std::uint32_t group,
                     int depth);

  Violation TakeViolation() { return std::move(violation_); }

 private:
  ABSL_ATTRIBUTE_NOINLINE const char* Fail(const Place& place,
                                           Problem problem) {
    violation_.description = Describe(problem, max_depth_, limits_);
    return FailWithin(place);
  }

  ABSL_ATTRIBUTE_NOINLINE const char* FailWithin(const Place& place) {
    const std::string name = NameOf(place);
    const bool dot = !name.empty() && !violation_.field.empty();
    violation_.field = absl::StrCat(name, dot ? "." : "", violation_.field);
    return nullptr;
  }

  const int max_depth_;
  const WireLimits& limits_;
  // Number of messages that may still follow, by WireSchema::counter.
  std::array<std::size_t, WireLimits::kCountedTypesMax + 1> counts_left_;
  Violation violation_;
};

const char* Walk::Fields(const WireSchema& schema, Input in,
                         std::uint32_t group, int depth) {
  const char* const begin = in.at;
  std::uint64_t given = 0;
  while (in.at != in.end) {
    const char* const field_begin = in.at;
    std::uint32_t tag = 0;
    const auto place = [&] { return Place{schema, begin, field_begin, tag}; };
    if (!ReadTag(in, tag)) return Fail(place(), Problem::kMalformedTag);

    const Entry entry = schema.Find(tag);
    const std::uint64_t bit = std::uint64_t{1} << entry.bit;
    // A field that may repeat has the bit kMayRepeat, so the comparison
    // excludes it.
    if ((given & bit) > (std::uint64_t{1} << kMayRepeat)) {
      return Fail(place(), Problem::kRepeated);
    }
    given |= bit;
    Problem problem = Problem::kNone;
    Input content;
    switch (entry.rule) {
      case Rule::kBadTag:
        problem = Problem::kMalformedTag;
        break;
      case Rule::kWrongType:
        problem = Problem::kWrongType;
        break;
      case Rule::kVarint:
        if (!SkipNumber(in)) problem = Problem::kMalformedVarint;
        break;
      case Rule::kFixed32:
        if (!Skip(in, 4)) problem = Problem::kCutOff;
        break;
      case Rule::kFixed64:
        if (!Skip(in, 8)) problem = Problem::kCutOff;
        break;
      case Rule::kEndGroup:
        if (group != 0 && NumberOf(tag) == NumberOf(group)) return in.at;
        problem = Problem::kNoGroupBegin;
        break;
      case Rule::kGroup:
        if (depth == max_depth_) {
          problem = Problem::kTooDeep;
          break;
        }
        in.at = Fields(GroupSchema(), in, tag, depth + 1);
        if (in.at == nullptr) return FailWithin(place());
        break;
      case Rule::kMessage:
        if (!ReadLengthDelimited(in, content)) {
          problem = Problem::kCutOff;
        } else if (depth == max_depth_) {
          problem = Problem::kTooDeep;
        } else {
          const WireSchema& child = *schema.children[entry.child];
          if (counts_left_[child.counter]-- == 0) {
            problem = Problem::kTooMany;
          } else if (Fields(child, content, 0, depth + 1) == nullptr) {
            return FailWithin(place());
          }
        }
        break;
      case Rule::kString:
        if (!ReadLengthDelimited(in, content)) {
          problem = Problem::kCutOff;
        } else if (!IsValidUtf8(AsView(content))) {
          problem = Problem::kInvalidUtf8;
        }
        break;
      case Rule::kShortString:
        if (!ReadLengthDelimited(in, content)) {
          problem = Problem::kCutOff;
        } else if (AsView(content).size() > limits_.short_text_max_bytes) {
          problem = Problem::kTooLong;
        } else if (!IsValidUtf8(AsView(content))) {
          problem = Problem::kInvalidUtf8;
        }
        break;
      case Rule::kBytes:
        if (!ReadLengthDelimited(in, content)) problem = Problem::kCutOff;
        break;
      case Rule::kPackedVarint:
        problem = ReadLengthDelimited(in, content) ? CheckPackedVarints(content)
                                                   : Problem::kCutOff;
        break;
      case Rule::kPackedFixed32:
      case Rule::kPackedFixed64:
        if (!ReadLengthDelimited(in, content)) {
          problem = Problem::kCutOff;
        } else if (!IsWholePack(entry.rule, content)) {
          problem = Problem::kUnevenPack;
        }
        break;
    }
    if (problem != Problem::kNone) return Fail(place(), problem);
  }
  if (group == 0) return in.at;
  return Fail(Place{schema, begin, in.at, 0}, Problem::kNoGroupEnd);
}

}  // namespace

WireChecker::WireChecker(const Descriptor* type, int max_depth,
                         int unread_field, WireLimits limits)
    : schemas_(BuildSchemas(type, unread_field, limits)),
      max_depth_(std::min(
          max_depth,
          google::protobuf::io::CodedInputStream::GetDefaultRecursionLimit())),
      limits_(std::move(limits)) {
  SLUICE_DCHECK(limits_.counted.size() <= WireLimits::kCountedTypesMax);
  SLUICE_DCHECK_GE(max_depth, 1);
  SLUICE_DCHECK(unread_field == 0 ||
                type->FindFieldByNumber(unread_field)->message_type() !=
                    nullptr);
}

WireChecker::~WireChecker() = default;

std::optional<Violation> WireChecker::Check(std::string_view bytes) const {
  if (bytes.size() > std::numeric_limits<int>::max()) {
    return Violation{"", "larger than 2 GiB"};
  }
  Walk walk(max_depth_, limits_);
  if (walk.Fields(*schemas_.front(), AsInput(bytes), 0, 1) != nullptr) {
    return std::nullopt;
  }
  return walk.TakeViolation();
}

std::string_view FindLengthDelimited(std::string_view message, int field) {
  std::string_view found;
  FindLengthDelimited(message, {&field, 1}, {&found, 1});
  return found;
}

void FindLengthDelimited(std::string_view message, std::span<const int> fields,
                         std::span<std::string_view> found) {
  SLUICE_DCHECK_EQ(fields.size(), found.size());
  std::ranges::fill(found, std::string_view());
  FieldReader reader(message);
  while (reader.Next()) {
    if (WireTypeOf(reader.tag()) != wire::kLengthDelimited) continue;
    const auto wanted =
        std::ranges::find(fields, static_cast<int>(NumberOf(reader.tag())));
    if (wanted != fields.end()) {
      found[static_cast<std::size_t>(wanted - fields.begin())] =
          reader.content();
    }
  }
}

std::vector<std::string_view> FindRepeated(std::string_view message, int field,
                                           std::size_t max) {
  std::vector<std::string_view> found;
  FieldReader reader(message);
  while (found.size() < max && reader.Next()) {
    if (reader.tag() == LengthDelimitedTag(field)) {
      found.push_back(reader.content());
    }
  }
  return found;
}

}  // namespace sluice
