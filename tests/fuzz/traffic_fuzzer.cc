// Any bytes are a valid description of traffic or are refused with errors that
// name a line or a key. The arrivals of a valid one come in order and within
// the run.

#include <chrono>
#include <string>

#include "absl/time/time.h"
#include "loadgen/profile.h"
#include "loadgen/traffic/traffic.h"
#include "tests/fuzz/fuzz.h"

namespace sluice {
namespace {

constexpr absl::Duration kRun = absl::Seconds(10);
// Of a run that would have a billion.
constexpr int kArrivalsMax = 300;

void Play(const Traffic& traffic, std::string_view method) {
  const auto profile = CompressTraffic(traffic, method, kRun, 1);
  if (!profile.ok()) return;
  const auto start = LoadClock::time_point();
  ProfileSchedule schedule(*profile, start);
  LoadClock::time_point last = start;
  for (int i = 0; i < kArrivalsMax; ++i) {
    const LoadClock::time_point next = schedule.next();
    if (next == LoadClock::time_point::max()) break;
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
