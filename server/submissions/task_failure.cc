#include "server/submissions/task_failure.h"

#include <cstdint>
#include <exception>
#include <typeinfo>

#include "absl/random/random.h"
#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "spdlog/spdlog.h"

namespace sluice {
namespace {

std::string NewErrorId() {
  thread_local absl::BitGen random;
  return absl::StrCat(
      absl::Hex(absl::Uniform<std::uint64_t>(random), absl::kZeroPad16));
}

}  // namespace

std::string FailureLog::Log(std::string_view kind, TimePoint now) {
  std::string key(kind);
  absl::MutexLock lock(&mutex_);
  if (lines_.size() >= kKindsMax && !lines_.contains(key)) key.clear();
  Line& line = lines_[key];
  const std::size_t times = line.pace.Count(now);
  if (times > 0) {
    line.error_id = NewErrorId();
    spdlog::error("task failed: error_id={} times={} {}", line.error_id, times,
                  kind);
  }
  return line.error_id;
}

std::string LogFailure(std::string_view kind) {
  static auto* const log = new FailureLog();
  return log->Log(kind, SystemClock()->Now());
}

std::string LogCurrentException() {
  std::string type = "not a std::exception";
  try {
    throw;
  } catch (const std::exception& e) {
    type = typeid(e).name();
  } catch (...) {
  }
  return LogFailure(absl::StrCat("exception=", type));
}

std::string LogBatchFailure() { return LogFailure("the processor threw"); }

}  // namespace sluice
