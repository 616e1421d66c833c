#include "tests/crash/damage.h"

#include <cstdint>
#include <fstream>
#include <system_error>

#include "absl/strings/str_cat.h"

namespace sluice {
namespace {

absl::Status ToStatus(const std::filesystem::path& file,
                      const std::error_code& error) {
  if (!error) return absl::OkStatus();
  return absl::UnavailableError(
      absl::StrCat(file.string(), ": ", error.message()));
}

absl::Status FlipBit(const std::filesystem::path& file,
                     std::mt19937_64& random) {
  const auto at =
      static_cast<std::streamoff>(random() % std::filesystem::file_size(file));
  std::fstream stream(file, std::ios::in | std::ios::out | std::ios::binary);
  stream.seekg(at);
  const int byte = stream.get();
  stream.seekp(at);
  stream.put(static_cast<char>(byte ^ (1 << random() % 8)));
  stream.flush();
  return stream.good() ? absl::OkStatus()
                       : absl::UnavailableError(
                             absl::StrCat("cannot change ", file.string()));
}

absl::Status Truncate(const std::filesystem::path& file,
                      std::mt19937_64& random) {
  std::error_code error;
  std::filesystem::resize_file(
      file, random() % std::filesystem::file_size(file), error);
  return ToStatus(file, error);
}

absl::Status Remove(const std::filesystem::path& file,
                    std::mt19937_64& /*random*/) {
  std::error_code error;
  std::filesystem::remove(file, error);
  return ToStatus(file, error);
}

constexpr Damage kDamages[] = {
    {"bit flipped", FlipBit},
    {"truncated", Truncate},
    {"removed", Remove},
};

}  // namespace

absl::Span<const Damage> AllDamages() { return kDamages; }

}  // namespace sluice
