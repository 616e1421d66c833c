#include "base/sha256.h"

// OpenSSL 3 deprecates these functions. Their replacement allocates a context
// for each hash.
#define OPENSSL_API_COMPAT 10100
#include "openssl/sha.h"

namespace sluice {

std::array<std::uint8_t, 32> Sha256(std::string_view bytes) {
  SHA256_CTX context;
  std::array<std::uint8_t, 32> digest;
  SHA256_Init(&context);
  SHA256_Update(&context, bytes.data(), bytes.size());
  SHA256_Final(digest.data(), &context);
  return digest;
}

}  // namespace sluice
