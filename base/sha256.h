// The SHA-256 hash of bytes.

#ifndef SLUICE_BASE_SHA256_H_
#define SLUICE_BASE_SHA256_H_

#include <array>
#include <cstdint>
#include <string_view>

namespace sluice {

// Returns the SHA-256 hash (FIPS 180-4) of `bytes`. Thread-safe.
std::array<std::uint8_t, 32> Sha256(std::string_view bytes);

}  // namespace sluice

#endif  // SLUICE_BASE_SHA256_H_
