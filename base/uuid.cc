#include "base/uuid.h"

#include <openssl/evp.h>

#include <algorithm>
#include <cstddef>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/string_view.h"

namespace sluice {
namespace {

using Bytes = std::array<std::uint8_t, 16>;

constexpr bool IsHyphen(std::size_t position) {
  return position == 8 || position == 13 || position == 18 || position == 23;
}

void SetVersion(Bytes& bytes, unsigned version) {
  bytes[6] = static_cast<std::uint8_t>((bytes[6] & 0x0fU) | (version << 4U));
  bytes[8] = static_cast<std::uint8_t>((bytes[8] & 0x3fU) | 0x80U);
}

void PutBigEndian(std::uint64_t value, std::size_t size, std::uint8_t* out) {
  for (std::size_t i = size; i-- > 0; value >>= 8U) {
    out[i] = static_cast<std::uint8_t>(value & 0xffU);
  }
}

UuidText Format(const Bytes& bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  UuidText text;
  std::size_t position = 0;
  for (const std::uint8_t byte : bytes) {
    if (IsHyphen(position)) text[position++] = '-';
    text[position++] = kDigits[byte >> 4U];
    text[position++] = kDigits[byte & 0x0fU];
  }
  return text;
}

}  // namespace

bool IsUuid(absl::string_view text) {
  if (text.size() != UuidText{}.size()) return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (IsHyphen(i) ? c != '-' : !absl::ascii_isxdigit(c)) return false;
  }
  return true;
}

UuidText NameBasedUuid(absl::string_view space, absl::string_view name) {
  const std::string named = absl::StrCat(
      absl::HexStringToBytes(absl::StrReplaceAll(space, {{"-", ""}})), name);
  std::array<std::uint8_t, EVP_MAX_MD_SIZE> digest{};
  EVP_Digest(named.data(), named.size(), digest.data(), nullptr, EVP_sha1(),
             nullptr);
  Bytes bytes;
  std::copy_n(digest.begin(), bytes.size(), bytes.begin());
  SetVersion(bytes, 5);
  return Format(bytes);
}

UuidText UuidGenerator::Next(absl::Time now) {
  Bytes bytes;
  PutBigEndian(random_(), 8, bytes.data());
  PutBigEndian(random_(), 8, bytes.data() + 8);
  if (version_ == UuidVersion::kTimeOrdered) {
    constexpr std::uint64_t kNanosPerMilli = 1'000'000;
    const auto nanos = static_cast<std::uint64_t>(absl::ToUnixNanos(now));
    PutBigEndian(nanos / kNanosPerMilli, 6, bytes.data());
    PutBigEndian(nanos % kNanosPerMilli * 4096 / kNanosPerMilli, 2,
                 bytes.data() + 6);
  }
  SetVersion(bytes, static_cast<unsigned>(version_));
  return Format(bytes);
}

}  // namespace sluice
