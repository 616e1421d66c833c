#include "server/grpc_log.h"

#include <algorithm>
#include <cstddef>
#include <utility>

#include "absl/container/node_hash_map.h"
#include "absl/strings/escaping.h"
#include "absl/synchronization/mutex.h"
#include "base/clock.h"
#include "base/log_pace.h"
#include "grpc/support/log.h"
#include "spdlog/spdlog.h"

namespace sluice {
namespace {

constexpr std::size_t kTextBytesMax = 300;

// Paces each place in the source of gRPC separately. There are as many places
// as gRPC has log statements. Thread-safe.
class Places {
 public:
  std::size_t Count(const char* file, int line) {
    LogPace* pace = nullptr;
    {
      absl::MutexLock lock(&mutex_);
      pace = &paces_[{file, line}];
    }
    return pace->Count(SystemClock()->Now());
  }

 private:
  absl::Mutex mutex_;  // held for a moment only
  // Literals of gRPC, so pointers identify them.
  absl::node_hash_map<std::pair<const char*, int>, LogPace> paces_
      ABSL_GUARDED_BY(mutex_);
};

void Log(gpr_log_func_args* args) {
  static Places* const places = new Places;
  const std::size_t times = places->Count(args->file, args->line);
  if (times == 0) return;
  spdlog::warn("grpc: severity={} at={}:{} times={} text={}",
               gpr_log_severity_string(args->severity), args->file, args->line,
               times, PrintableGrpcMessage(args->message));
}

}  // namespace

void LogMessagesOfGrpc() { gpr_set_log_function(Log); }

std::string PrintableGrpcMessage(std::string_view text) {
  return absl::CHexEscape(
      absl::string_view(text.data(), std::min(text.size(), kTextBytesMax)));
}

}  // namespace sluice
