#include "server/stop_during_start.h"

#include <string.h>
#include <time.h>

#include <cstdlib>

#include "base/log.h"
#include "spdlog/spdlog.h"

namespace sluice {
namespace {

// Time after which End is noticed.
constexpr timespec kPollInterval = {.tv_sec = 0, .tv_nsec = 10'000'000};

}  // namespace

StopDuringStart::StopDuringStart(const sigset_t& signals) : signals_(signals) {
  thread_ = std::thread([this] {
    while (!ended_) {
      const int received = sigtimedwait(&signals_, nullptr, &kPollInterval);
      if (received <= 0) continue;
      spdlog::info("stopped during the start: signal={}", strsignal(received));
      FlushLog();
      // The starting thread may hang, and it uses objects that an orderly exit
      // would destroy.
      std::_Exit(EXIT_SUCCESS);
    }
  });
}

void StopDuringStart::End() {
  ended_ = true;
  if (thread_.joinable()) thread_.join();
}

}  // namespace sluice
