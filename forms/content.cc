#include "forms/content.h"

#include <cstdlib>
#include <limits>
#include <memory>
#include <optional>
#include <string>

#include "google/protobuf/io/coded_stream.h"
#include "google/protobuf/io/zero_copy_stream_impl_lite.h"
#include "google/protobuf/message.h"
#include "openssl/evp.h"

namespace sluice {
namespace {

using google::protobuf::Message;

struct FreeContext {
  void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
};

// Looking the algorithm up costs more than hashing a submission.
const EVP_MD* Sha256Algorithm() {
  static const EVP_MD* const algorithm =
      EVP_MD_fetch(nullptr, "SHA256", nullptr);
  return algorithm;
}

// The message, serialized again; nothing where `bytes` do not parse.
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
  thread_local const std::unique_ptr<EVP_MD_CTX, FreeContext> context(
      EVP_MD_CTX_new());
  std::array<std::uint8_t, 32> digest;
  const bool done =
      context != nullptr &&
      EVP_DigestInit_ex2(context.get(), Sha256Algorithm(), nullptr) == 1 &&
      EVP_DigestUpdate(context.get(), bytes.data(), bytes.size()) == 1 &&
      EVP_DigestFinal_ex(context.get(), digest.data(), nullptr) == 1;
  // Fails only where OpenSSL offers no SHA-256 at all or memory is gone; a
  // wrong digest would be stored for good.
  if (!done) std::abort();
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
