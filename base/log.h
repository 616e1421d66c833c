// The log of a server: the default logger of spdlog, with lines on standard
// error. Logging never blocks (log_writer.h).

#ifndef SLUICE_BASE_LOG_H_
#define SLUICE_BASE_LOG_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "base/log_options.h"

namespace sluice {

// Starts the log. Call once, before any thread is started. Exits with code 1 if
// the thread of the log cannot be started.
void StartLog();

// Waits for the lines so far, at most for LogWriter::kFlushMax. Returns false
// if they are not written then. Thread-safe.
bool FlushLog();

// Changes the options of the running log. Thread-safe.
void SetLogOptions(const LogOptions& options);

// Returns the number of lines that were dropped, because nobody read them or
// because they could not be written. 0 before StartLog. Thread-safe.
std::uint64_t DroppedLogLines();

// Returns `text` as the content of a JSON string. Bytes that are not UTF-8
// become U+FFFD.
std::string JsonEscaped(std::string_view text);

}  // namespace sluice

#endif  // SLUICE_BASE_LOG_H_
