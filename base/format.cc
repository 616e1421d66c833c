#include "base/format.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace sluice {
namespace {

// Formats a number with three significant digits, or with all digits before the
// point, without trailing zeros.
std::string Significant(double number) {
  const double size = std::abs(number);
  if (size >= 99.95) {
    return absl::StrFormat("%.0f", number);
  }
  std::string text = absl::StrFormat("%.*f",
                                     size >= 9.995    ? 1
                                     : size >= 0.9995 ? 2
                                                      : 3,
                                     number);
  while (text.back() == '0') text.pop_back();
  if (text.back() == '.') text.pop_back();
  return text;
}

struct Unit {
  double size;
  std::string_view name;
};

// Formats `number` in the largest unit that it reaches. `units` must be sorted
// from large to small.
template <std::size_t N>
std::string InUnits(double number, const std::array<Unit, N>& units) {
  const auto* unit = std::ranges::find_if(
      units, [&](const Unit& u) { return number >= u.size * 0.9995; });
  if (unit == units.end()) unit = &units.back();
  return absl::StrCat(Significant(number / unit->size), " ",
                      absl::string_view(unit->name.data(), unit->name.size()));
}

}  // namespace

std::string FormatCount(std::uint64_t count) {
  if (count < 1000) return absl::StrCat(count);
  return absl::StrCat(FormatCount(count / 1000), ",",
                      absl::Dec(count % 1000, absl::kZeroPad3));
}

std::string FormatNumber(double number) {
  if (std::isinf(number)) return "no limit";
  if (number >= 999.5) {
    return FormatCount(static_cast<std::uint64_t>(std::llround(number)));
  }
  return Significant(number);
}

std::string FormatSeconds(double seconds) {
  static constexpr std::array<Unit, 5> kUnits = {
      {{3600, "h"}, {60, "min"}, {1, "s"}, {1e-3, "ms"}, {1e-6, "us"}}};
  return seconds <= 0 ? "0" : InUnits(seconds, kUnits);
}

std::string FormatSize(double bytes) {
  static constexpr std::array<Unit, 4> kUnits = {
      {{0x1p30, "GiB"}, {0x1p20, "MiB"}, {0x1p10, "KiB"}, {1, "B"}}};
  return bytes <= 0 ? "0" : InUnits(bytes, kUnits);
}

std::string FormatShare(std::uint64_t part, std::uint64_t whole) {
  if (part == 0 || whole == 0) return "0 %";
  const double percent =
      100 * static_cast<double>(part) / static_cast<double>(whole);
  if (part == whole) return "100 %";
  if (percent < 0.1) return "< 0.1 %";
  if (percent > 99.9) return "> 99.9 %";
  return absl::StrFormat("%.1f %%", percent);
}

std::string FormatClockTime(double seconds) {
  const auto whole = static_cast<std::int64_t>(std::floor(seconds + 1e-6));
  const std::int64_t days = whole / 86400;
  const std::int64_t of_day = whole % 86400;
  std::string text =
      absl::StrFormat("%02d:%02d", of_day / 3600, of_day / 60 % 60);
  const double rest = seconds - static_cast<double>(whole - of_day % 60);
  if (rest >= 1e-3 && rest < 60) {
    const bool is_whole = std::abs(rest - std::round(rest)) < 1e-3;
    absl::StrAppend(&text, is_whole ? absl::StrFormat(":%02.0f", rest)
                                    : absl::StrFormat(":%06.3f", rest));
  }
  if (days > 0) absl::StrAppend(&text, " +", days);
  return text;
}

}  // namespace sluice
