#include "forms/content.h"

#include <limits>
#include <memory>
#include <optional>
#include <string>

#include "google/protobuf/io/coded_stream.h"
#include "google/protobuf/io/zero_copy_stream_impl_lite.h"
#include "google/protobuf/message.h"

namespace sluice {
namespace {

using google::protobuf::Message;

// Returns the message, serialized again, or nothing if `bytes` do not parse.
std::optional<std::string> Normalized(Message& scratch,
                                      std::string_view bytes) {
  if (bytes.size() > std::numeric_limits<int>::max() ||
      !scratch.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return std::nullopt;
  }
  std::string out;
  {
    google::protobuf::io::StringOutputStream stream(&out);
    google::protobuf::io::CodedOutputStream coded(&stream);
    coded.SetSerializationDeterministic(true);
    scratch.SerializeToCodedStream(&coded);
  }
  return out;
}

}  // namespace

bool SameMessage(const google::protobuf::Descriptor& type, std::string_view a,
                 std::string_view b) {
  const Message* prototype =
      google::protobuf::MessageFactory::generated_factory()->GetPrototype(
          &type);
  if (prototype == nullptr) return false;
  const std::unique_ptr<Message> scratch(prototype->New());
  const std::optional<std::string> first = Normalized(*scratch, a);
  return first.has_value() && first == Normalized(*scratch, b);
}

}  // namespace sluice
