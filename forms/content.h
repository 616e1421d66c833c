// Decides whether two submissions have the same content.

#ifndef SLUICE_FORMS_CONTENT_H_
#define SLUICE_FORMS_CONTENT_H_

#include <array>
#include <cstdint>
#include <string_view>

#include "google/protobuf/descriptor.h"

namespace sluice {

// Returns the SHA-256 hash (FIPS 180-4) of `bytes`. Thread-safe.
std::array<std::uint8_t, 32> Sha256(std::string_view bytes);

// True if `a` and `b`, serialized messages of `type`, are equal after both were
// parsed and serialized again deterministically. False if either does not
// parse. Thread-safe.
bool SameMessage(const google::protobuf::Descriptor& type, std::string_view a,
                 std::string_view b);

}  // namespace sluice

#endif  // SLUICE_FORMS_CONTENT_H_
