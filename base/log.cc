#include "base/log.h"

#include <unistd.h>

#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/log_writer.h"
#include "base/utf8.h"
#include "spdlog/pattern_formatter.h"
#include "spdlog/sinks/sink.h"
#include "spdlog/spdlog.h"

namespace sluice {
namespace {

// Limit of the lines that are not written yet.
constexpr std::size_t kQueuedBytesMax = std::size_t{1} << 20;

constexpr char kTextPattern[] = "%Y-%m-%dT%H:%M:%S.%e%z %l %v";
// The flag * is JsonMessage.
constexpr char kJsonPattern[] =
    R"({"time":"%Y-%m-%dT%H:%M:%S.%e%z","level":"%l","message":"%*"})";

LogWriter* log_writer = nullptr;  // set by StartLog, never destroyed

class JsonMessage final : public spdlog::custom_flag_formatter {
 public:
  void format(const spdlog::details::log_msg& message, const std::tm&,
              spdlog::memory_buf_t& out) override {
    const std::string text =
        JsonEscaped({message.payload.data(), message.payload.size()});
    out.append(text.data(), text.data() + text.size());
  }
  std::unique_ptr<custom_flag_formatter> clone() const override {
    return std::make_unique<JsonMessage>();
  }
};

// Formats lines and queues them.
class QueueSink final : public spdlog::sinks::sink {
 public:
  void log(const spdlog::details::log_msg& message) override {
    spdlog::memory_buf_t line;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      formatter_->format(message, line);
    }
    log_writer->Put(std::string(line.data(), line.size()));
  }

  // Other threads can log meanwhile.
  void flush() override { log_writer->Flush(LogWriter::kFlushMax); }

  void set_pattern(const std::string& pattern) override {
    set_formatter(std::make_unique<spdlog::pattern_formatter>(pattern));
  }

  void set_formatter(std::unique_ptr<spdlog::formatter> formatter) override {
    const std::lock_guard<std::mutex> lock(mutex_);
    formatter_ = std::move(formatter);
  }

 private:
  std::mutex mutex_;  // held for the formatting of a line
  std::unique_ptr<spdlog::formatter> formatter_ =
      std::make_unique<spdlog::pattern_formatter>(kTextPattern);
};

std::unique_ptr<spdlog::formatter> FormatterOf(LogFormat format) {
  auto formatter = std::make_unique<spdlog::pattern_formatter>();
  formatter->add_flag<JsonMessage>('*').set_pattern(
      format == LogFormat::kJson ? kJsonPattern : kTextPattern);
  return formatter;
}

spdlog::level::level_enum LevelOf(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return spdlog::level::debug;
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kWarning:
      return spdlog::level::warn;
    case LogLevel::kError:
      return spdlog::level::err;
  }
  return spdlog::level::info;
}

}  // namespace

void StartLog() {
  try {
    log_writer =
        new LogWriter(STDERR_FILENO, kQueuedBytesMax, [](std::uint64_t lines) {
          spdlog::warn("log lines dropped: lines={}", lines);
        });
  } catch (const std::system_error& error) {
    std::fprintf(stderr, "cannot start a thread: %s\n", error.what());
    std::exit(EXIT_FAILURE);
  }
  spdlog::set_default_logger(std::make_shared<spdlog::logger>(
      "sluice", std::make_shared<QueueSink>()));
}

bool FlushLog() {
  return log_writer == nullptr || log_writer->Flush(LogWriter::kFlushMax);
}

void SetLogOptions(const LogOptions& options) {
  spdlog::default_logger()->set_formatter(FormatterOf(options.format));
  spdlog::default_logger()->set_level(LevelOf(options.level));
}

std::uint64_t DroppedLogLines() {
  return log_writer == nullptr ? 0 : log_writer->dropped();
}

std::string JsonEscaped(std::string_view text) {
  std::string escaped;
  escaped.reserve(text.size());
  while (!text.empty()) {
    const std::size_t size = Utf8CharacterSize(text);
    const auto byte = static_cast<unsigned char>(text.front());
    if (size == 0) {
      escaped += "\\ufffd";
    } else if (byte == '"' || byte == '\\') {
      absl::StrAppend(&escaped, "\\", std::string(1, text.front()));
    } else if (byte < 0x20 || byte == 0x7f) {
      absl::StrAppendFormat(&escaped, "\\u%04x", byte);
    } else {
      escaped.append(text.substr(0, size));
    }
    text.remove_prefix(size == 0 ? 1 : size);
  }
  return escaped;
}

}  // namespace sluice
