// Captures the log of a server.

#ifndef SLUICE_TESTS_FAKES_LOG_CAPTURE_H_
#define SLUICE_TESTS_FAKES_LOG_CAPTURE_H_

#include <memory>
#include <sstream>
#include <string>
#include <utility>

#include "spdlog/sinks/ostream_sink.h"
#include "spdlog/spdlog.h"

namespace sluice {

// While it exists, replaces the default logger at every level. At most one may
// exist at a time. Create it before the server, and read the text when nothing
// logs any more.
class LogCapture {
 public:
  LogCapture() : before_(spdlog::default_logger()) {
    auto logger = std::make_shared<spdlog::logger>(
        "captured", std::make_shared<spdlog::sinks::ostream_sink_mt>(lines_));
    logger->set_level(spdlog::level::trace);
    spdlog::set_default_logger(std::move(logger));
  }
  ~LogCapture() { spdlog::set_default_logger(before_); }
  LogCapture(const LogCapture&) = delete;
  LogCapture& operator=(const LogCapture&) = delete;

  std::string text() const { return lines_.str(); }

 private:
  const std::shared_ptr<spdlog::logger> before_;
  std::ostringstream lines_;
};

}  // namespace sluice

#endif  // SLUICE_TESTS_FAKES_LOG_CAPTURE_H_
