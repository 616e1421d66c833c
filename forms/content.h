// What makes two submissions the same.

#ifndef SLUICE_FORMS_CONTENT_H_
#define SLUICE_FORMS_CONTENT_H_

#include <array>
#include <cstdint>
#include <string_view>

#include "google/protobuf/descriptor.h"

namespace sluice {

// SHA-256 (FIPS 180-4) by OpenSSL. Thread-safe.
std::array<std::uint8_t, 32> Sha256(std::string_view bytes);

// Whether `a` and `b`, messages of `type`, are the same once parsed and
// serialized again deterministically; false where one does not parse.
bool SameMessage(const google::protobuf::Descriptor& type, std::string_view a,
                 std::string_view b);

}  // namespace sluice

#endif  // SLUICE_FORMS_CONTENT_H_
