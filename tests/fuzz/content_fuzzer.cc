// SameMessage is an equivalence. A message that parses is the same as itself
// and as the bytes that protobuf writes for it. The order of the arguments does
// not matter. Two messages are the same if protobuf finds no difference. If two
// messages are the same and pass the wire check, FindLengthDelimited returns
// equal strings for both.
//
// Input: a byte that chooses the message type, two bytes with the length of the
// first message, then the two messages.

#include <array>
#include <memory>
#include <string>

#include "forms/content.h"
#include "forms/wire_check.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/unknown_field_set.h"
#include "google/protobuf/util/message_differencer.h"
#include "sluice/v1/ingestion.pb.h"
#include "tests/fuzz/fuzz.h"

namespace sluice {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::util::MessageDifferencer;

// Protobuf does not specify how its comparison treats unknown fields.
bool HasUnknownFields(const Message& message) {
  const std::unique_ptr<Message> known(message.New());
  known->CopyFrom(message);
  known->DiscardUnknownFields();
  return known->ByteSizeLong() != message.ByteSizeLong();
}

// Requires equal string fields on the outermost level. Nested messages may be
// encoded differently.
void RequireSameFields(const Descriptor& type, const std::string& a,
                       const std::string& b) {
  const WireChecker checker(&type, 100);
  if (checker.Check(a) || checker.Check(b)) return;
  for (int i = 0; i < type.field_count(); ++i) {
    const FieldDescriptor& field = *type.field(i);
    if (field.type() != FieldDescriptor::TYPE_STRING) continue;
    Require(FindLengthDelimited(a, field.number()) ==
                FindLengthDelimited(b, field.number()),
            "messages that are the same have the same ids");
  }
}

}  // namespace

void FuzzOne(std::string_view input) {
  static const std::array<const Message*, 3> kTypes = {
      &v1::SubmitRequest::default_instance(),
      &v1::PatientRecord::default_instance(),
      &v1::AppEvent::default_instance()};
  InputReader reader(input);
  const Message& prototype = *kTypes[reader.Below(kTypes.size())];
  const std::size_t low = reader.Byte();
  const std::size_t size = low | std::size_t{reader.Byte()} << 8;
  const std::string_view both = reader.Rest();
  const std::string a(both.substr(0, size));
  const std::string b(size < both.size() ? both.substr(size) : a);
  const auto same = [&](const std::string& x, const std::string& y) {
    return SameMessage(*prototype.GetDescriptor(), x, y);
  };

  const std::unique_ptr<Message> first(prototype.New());
  const std::unique_ptr<Message> second(prototype.New());
  const bool first_parses = first->ParseFromString(a);
  const bool second_parses = second->ParseFromString(b);
  Require(same(a, a) == first_parses, "a message that parses is its own same");
  Require(same(a, b) == same(b, a), "the order does not matter");
  if (!first_parses || !second_parses) {
    return Require(!same(a, b), "what does not parse is the same as nothing");
  }
  Require(same(a, first->SerializeAsString()),
          "a message is the same as what protobuf writes of it");
  if (same(a, b)) RequireSameFields(*prototype.GetDescriptor(), a, b);
  if (HasUnknownFields(*first) || HasUnknownFields(*second)) return;
  Require(same(a, b) == MessageDifferencer::Equals(*first, *second),
          "protobuf finds the same messages equal");
}

}  // namespace sluice
