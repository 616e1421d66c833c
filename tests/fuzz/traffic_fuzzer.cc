// Any bytes are a valid description of traffic, or are rejected with errors
// that name a line or a key. The arrivals of a valid description come in order
// and within the run.

#include <chrono>
#include <string>
#include <string_view>

#include "absl/time/time.h"
#include "base/time.h"
#include "loadgen/internal/arrival_schedule.h"
#include "loadgen/profile.h"
#include "loadgen/traffic/traffic.h"
#include "tests/fuzz/fuzz.h"

namespace sluice {
namespace {

constexpr absl::Duration kRun = absl::Seconds(10);
// Maximum number of arrivals that are generated, because a run may have a
// billion.
constexpr int kArrivalsMax = 300;

void Play(const Traffic& traffic, std::string_view method) {
  const auto profile = CompressTraffic(traffic, method, kRun, 1);
  if (!profile.ok()) return;
  const TimePoint start;
  ProfileSchedule schedule(*profile, start);
  TimePoint last = start;
  for (int i = 0; i < kArrivalsMax; ++i) {
    const TimePoint next = schedule.next();
    if (next == kForever) break;
    Require(next >= last, "arrivals come in order");
    Require(next <= start + absl::ToChronoNanoseconds(kRun) +
                        std::chrono::microseconds(1),
            "arrivals come within the run");
    Require(!schedule.sender().study.empty(), "a sender has a study");
    last = next;
    schedule.Advance();
  }
}

}  // namespace

void FuzzOne(std::string_view input) {
  ConfigErrors errors;
  const Traffic traffic = ParseTraffic(input, &errors);
  for (const ConfigError& error : errors) {
    Require(error.line > 0 || !error.key.empty() ||
                error.message.starts_with("the file "),
            "an error names a line or a key");
    Require(IsPrintable(error.ToString("traffic.yaml")),
            "an error has no control characters");
  }
  if (!errors.empty()) return;
  for (const Method method : kAllMethods) Play(traffic, MethodName(method));
}

}  // namespace sluice
