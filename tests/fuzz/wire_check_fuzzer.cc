// The wire check accepts the same messages as protobuf's parser, except for the
// three differences and the limits in forms/wire_check.h, and finds the same
// fields. In an accepted message no singular field occurs twice.
//
// Input: a byte that chooses the message type, a byte for the depth, the bytes.

#include <array>
#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "every_field.pb.h"
#include "forms/wire_check.h"
#include "google/protobuf/io/coded_stream.h"
#include "google/protobuf/unknown_field_set.h"
#include "google/protobuf/wire_format_lite.h"
#include "sluice/v1/ingestion.pb.h"
#include "tests/fuzz/fuzz.h"

namespace sluice {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::UnknownField;
using google::protobuf::UnknownFieldSet;
using google::protobuf::internal::WireFormatLite;

constexpr std::array<int, 3> kDepths = {100, 64, 8};

struct Type {
  const Message* prototype;
  // One checker for each of kDepths.
  std::array<std::unique_ptr<WireChecker>, kDepths.size()> checkers;
};

const std::vector<Type>& Types() {
  static const std::vector<Type>* const types = [] {
    auto* all = new std::vector<Type>;
    for (const Message* prototype : std::initializer_list<const Message*>{
             &v1::SubmitRequest::default_instance(),
             &v1::ImportPatientsRequest::default_instance(),
             &v1::RecordEventsRequest::default_instance(),
             &v1::GetReceiptsRequest::default_instance(),
             &v1::PatientRecord::default_instance(),
             &v1::AppEvent::default_instance(),
             &test::EveryField::default_instance()}) {
      Type type{.prototype = prototype, .checkers = {}};
      for (std::size_t i = 0; i < kDepths.size(); ++i) {
        type.checkers[i] = std::make_unique<WireChecker>(
            prototype->GetDescriptor(), kDepths[i]);
      }
      all->push_back(std::move(type));
    }
    return all;
  }();
  return *types;
}

// The functions below find out why the wire check may reject a message that
// protobuf accepts. They use protobuf's parser for messages without a type.

bool HasWrongType(const UnknownField& field, const FieldDescriptor& known) {
  const auto type = static_cast<WireFormatLite::FieldType>(known.type());
  switch (WireFormatLite::WireTypeForFieldType(type)) {
    case WireFormatLite::WIRETYPE_VARINT:
      if (field.type() == UnknownField::TYPE_VARINT) return false;
      break;
    case WireFormatLite::WIRETYPE_FIXED32:
      if (field.type() == UnknownField::TYPE_FIXED32) return false;
      break;
    case WireFormatLite::WIRETYPE_FIXED64:
      if (field.type() == UnknownField::TYPE_FIXED64) return false;
      break;
    default:
      return field.type() != UnknownField::TYPE_LENGTH_DELIMITED;
  }
  return !(known.is_packable() &&
           field.type() == UnknownField::TYPE_LENGTH_DELIMITED);
}

bool HasWrongType(const std::string& bytes, const Descriptor& type) {
  UnknownFieldSet fields;
  if (!fields.ParseFromString(bytes)) return false;
  for (int i = 0; i < fields.field_count(); ++i) {
    const UnknownField& field = fields.field(i);
    const FieldDescriptor* known = type.FindFieldByNumber(field.number());
    if (known == nullptr) continue;
    if (HasWrongType(field, *known)) return true;
    if (known->message_type() != nullptr &&
        HasWrongType(field.length_delimited(), *known->message_type())) {
      return true;
    }
  }
  return false;
}

// True if there may be a varint of five bytes or more, such as a tag above 2^32
// - 1.
bool HasLongVarint(std::string_view bytes) {
  int run = 0;
  for (const char c : bytes) {
    run = static_cast<std::uint8_t>(c) >= 0x80 ? run + 1 : 0;
    if (run == 4) return true;
  }
  return false;
}

// True if protobuf parses `bytes` when it allows `levels` levels of messages.
bool ParsesWithin(int levels, const std::string& bytes,
                  const Message& prototype) {
  const std::unique_ptr<Message> message(prototype.New());
  google::protobuf::io::CodedInputStream input(
      reinterpret_cast<const std::uint8_t*>(bytes.data()),
      static_cast<int>(bytes.size()));
  // The parser counts levels from 0.
  input.SetRecursionLimit(levels - 1);
  return message->MergeFromCodedStream(&input) && input.ConsumedEntireMessage();
}

// True if a singular field or a oneof occurs more than once.
bool HasRepeated(const std::string& bytes, const Descriptor& type) {
  UnknownFieldSet fields;
  if (!fields.ParseFromString(bytes)) return false;
  std::set<const void*> given;
  for (int i = 0; i < fields.field_count(); ++i) {
    const UnknownField& field = fields.field(i);
    const FieldDescriptor* known = type.FindFieldByNumber(field.number());
    if (known == nullptr || HasWrongType(field, *known)) continue;
    const void* const identity =
        known->containing_oneof() != nullptr
            ? static_cast<const void*>(known->containing_oneof())
            : known;
    if (!known->is_repeated() && !given.insert(identity).second) return true;
    if (known->message_type() != nullptr &&
        HasRepeated(field.length_delimited(), *known->message_type())) {
      return true;
    }
  }
  return false;
}

void RequireReason(const Violation& violation, const std::string& bytes,
                   const Message& prototype, int depth) {
  const Descriptor& type = *prototype.GetDescriptor();
  if (violation.description == "wrong wire type") {
    return Require(HasWrongType(bytes, type), "a field has a wrong type");
  }
  if (violation.description == "given more than once") {
    return Require(HasRepeated(bytes, type), "a field occurs twice");
  }
  if (violation.description == "malformed field tag") {
    return Require(HasLongVarint(bytes), "a tag has five bytes");
  }
  Require(
      violation.description.starts_with("nested deeper than") &&
          !ParsesWithin(depth, bytes, prototype),
      "protobuf accepts what the wire check refuses: " + violation.description);
}

// Compares the fields found on the outermost level of an accepted message with
// the fields that protobuf finds.
void CheckFinding(const std::string& bytes) {
  UnknownFieldSet fields;
  Require(fields.ParseFromString(bytes), "protobuf reads the fields");
  std::vector<int> numbers = {1, 2, 3, 4, 5, 6, 14, 15, 16, 999};
  std::vector<std::string_view> found(numbers.size());
  FindLengthDelimited(bytes, numbers, found);
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    std::vector<std::string_view> expected;
    for (int f = 0; f < fields.field_count(); ++f) {
      const UnknownField& field = fields.field(f);
      if (field.number() == numbers[i] &&
          field.type() == UnknownField::TYPE_LENGTH_DELIMITED) {
        expected.emplace_back(field.length_delimited());
      }
    }
    Require(FindRepeated(bytes, numbers[i]) == expected,
            "FindRepeated finds what protobuf finds");
    const std::string_view last =
        expected.empty() ? std::string_view() : expected.back();
    Require(
        found[i] == last && (found[i].data() == nullptr) == expected.empty(),
        "FindLengthDelimited finds the last occurrence");
    Require(FindLengthDelimited(bytes, numbers[i]) == found[i],
            "one field is found like several");
  }
}

}  // namespace

void FuzzOne(std::string_view input) {
  InputReader reader(input);
  const Type& type = Types()[reader.Below(Types().size())];
  const std::size_t depth = reader.Below(kDepths.size());
  const std::string bytes(reader.Rest());

  const std::unique_ptr<Message> message(type.prototype->New());
  const bool parsed = message->ParseFromString(bytes);
  const auto violation = type.checkers[depth]->Check(bytes);
  if (!violation) {
    Require(parsed, "what the wire check accepts, protobuf parses");
    Require(ParsesWithin(kDepths[depth], bytes, *type.prototype),
            "what the wire check accepts is not too deep");
    Require(!HasRepeated(bytes, *type.prototype->GetDescriptor()),
            "an accepted message has no field twice");
    CheckFinding(bytes);
  } else if (parsed) {
    RequireReason(*violation, bytes, *type.prototype, kDepths[depth]);
    // Without its unknown fields, a message that protobuf writes can only be
    // rejected for its depth.
    message->DiscardUnknownFields();
    const auto again =
        type.checkers[depth]->Check(message->SerializeAsString());
    Require(!again || again->description.starts_with("nested deeper than"),
            "the wire check accepts what protobuf writes");
  } else {
    Require(!violation->description.empty(), "a violation is described");
    FindRepeated(bytes, 4);
    FindLengthDelimited(bytes, 4);
  }
}

}  // namespace sluice
