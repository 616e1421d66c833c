// Formats numbers for people.

#ifndef SLUICE_BASE_FORMAT_H_
#define SLUICE_BASE_FORMAT_H_

#include <cstdint>
#include <string>

namespace sluice {

// Formats a count with separators, e.g. "2,000,000".
std::string FormatCount(std::uint64_t count);
// Formats a number with three significant digits, or with all digits before the
// point: "0.25", "12.5", "1,234".
std::string FormatNumber(double number);
// Formats a duration, e.g. "250 us", "12.5 ms", "3.2 s", "5 min".
std::string FormatSeconds(double seconds);
// Formats a number of bytes, e.g. "12.5 MiB".
std::string FormatSize(double bytes);
// Formats a share, e.g. "12.3 %". "0 %" means that `part` is 0, "100 %" that
// `part` equals `whole`.
std::string FormatShare(std::uint64_t part, std::uint64_t whole);
// Formats seconds since midnight as a time of day: "20:30", or "20:30:15" if it
// is not a full minute, or "00:30 +1" on the next day.
std::string FormatClockTime(double seconds);

}  // namespace sluice

#endif  // SLUICE_BASE_FORMAT_H_
