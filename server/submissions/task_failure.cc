#include "server/submissions/task_failure.h"

#include <cstdint>
#include <exception>
#include <typeinfo>

#include "absl/random/random.h"
#include "absl/strings/str_cat.h"
#include "spdlog/spdlog.h"

namespace sluice {

std::string NewErrorId() {
  thread_local absl::BitGen random;
  return absl::StrCat(
      absl::Hex(absl::Uniform<std::uint64_t>(random), absl::kZeroPad16));
}

std::string LogCurrentException() {
  std::string type = "not a std::exception";
  try {
    throw;
  } catch (const std::exception& e) {
    type = typeid(e).name();
  } catch (...) {
  }
  std::string error_id = NewErrorId();
  spdlog::error("task failed: error_id={} exception={}", error_id, type);
  return error_id;
}

std::string LogBatchFailure() {
  std::string error_id = NewErrorId();
  spdlog::error("task failed: error_id={} the processor threw", error_id);
  return error_id;
}

}  // namespace sluice
