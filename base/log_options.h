// Options of the log that can change while a program runs.

#ifndef SLUICE_BASE_LOG_OPTIONS_H_
#define SLUICE_BASE_LOG_OPTIONS_H_

#include <array>
#include <string_view>

namespace sluice {

// The order is that of kLogFormatNames.
enum class LogFormat {
  kText,  // time, level and message, separated by spaces
  kJson,  // an object with the keys time, level and message
};

// The least important messages that are logged, in the order of kLogLevelNames.
enum class LogLevel { kDebug, kInfo, kWarning, kError };

// The names in a configuration.
inline constexpr std::array<std::string_view, 2> kLogFormatNames = {"text",
                                                                    "json"};
inline constexpr std::array<std::string_view, 4> kLogLevelNames = {
    "debug", "info", "warning", "error"};

struct LogOptions {
  LogFormat format = LogFormat::kText;
  LogLevel level = LogLevel::kInfo;

  friend bool operator==(const LogOptions&, const LogOptions&) = default;
};

}  // namespace sluice

#endif  // SLUICE_BASE_LOG_OPTIONS_H_
