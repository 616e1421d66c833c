#include "forms/content.h"

#include <limits>
#include <memory>
#include <optional>
#include <string>

#include "google/protobuf/io/coded_stream.h"
#include "google/protobuf/io/zero_copy_stream_impl_lite.h"
#include "google/protobuf/message.h"
// Use functions for SHA-256 that OpenSSL 3 deprecates, because their
// replacement allocates a context for each hash.
#define OPENSSL_API_COMPAT 10100
#include "openssl/sha.h"

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

std::array<std::uint8_t, 32> Sha256(std::string_view bytes) {
  SHA256_CTX context;
  std::array<std::uint8_t, 32> digest;
  SHA256_Init(&context);
  SHA256_Update(&context, bytes.data(), bytes.size());
  SHA256_Final(digest.data(), &context);
  return digest;
}

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
