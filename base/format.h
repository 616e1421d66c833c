// Numbers as people read them.

#ifndef SLUICE_BASE_FORMAT_H_
#define SLUICE_BASE_FORMAT_H_

#include <cstdint>
#include <string>

namespace sluice {

// "2,000,000".
std::string FormatCount(std::uint64_t count);
// Of any size, with three significant digits or all before the point: "0.25",
// "12.5", "1,234".
std::string FormatNumber(double number);
// "250 us", "12.5 ms", "3.2 s", "5 min".
std::string FormatSeconds(double seconds);
// "12.5 MiB".
std::string FormatSize(double bytes);
// "12.3 %"; never 0 % or 100 % of what is not.
std::string FormatShare(std::uint64_t part, std::uint64_t whole);
// Of seconds since a midnight: "20:30", with seconds where there are some,
// from the second day on "00:30 +1".
std::string FormatClockTime(double seconds);

}  // namespace sluice

#endif  // SLUICE_BASE_FORMAT_H_
