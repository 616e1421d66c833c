// The kinds of damage to a file of a server that is not running. To add a kind,
// write a function and add a line to the table in damage.cc.

#ifndef SLUICE_TESTS_CRASH_DAMAGE_H_
#define SLUICE_TESTS_CRASH_DAMAGE_H_

#include <filesystem>
#include <random>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace sluice {

struct Damage {
  absl::string_view name;
  // Damages a file that is not empty.
  absl::Status (*play)(const std::filesystem::path& file,
                       std::mt19937_64& random);
};

absl::Span<const Damage> AllDamages();

}  // namespace sluice

#endif  // SLUICE_TESTS_CRASH_DAMAGE_H_
